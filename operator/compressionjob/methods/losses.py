"""Losses of stages that train with a teacher."""

from pydantic import Field, model_validator

from compressionjob.field_types import NotNegative, Positive, Schema, cel, with_rules

_LOSSES_TEXT = "at least one of output, hidden, attention and labels must be above 0"
# The API server checks a default before it fills in the defaults within it: an absent output is 1.
_LOSSES_RULE = "!has(self.output) || double(self.output) > 0.0 || " + " || ".join(
    f"(has(self.{name}) && double(self.{name}) > 0.0)" for name in ("hidden", "attention", "labels")
)


class Losses(Schema):
    """Weight of each loss; 0 leaves it out."""

    model_config = with_rules(cel(_LOSSES_RULE, _LOSSES_TEXT))

    output: NotNegative = Field(
        default=1.0, description="Weight of the outputs: divergence of logits, or cosine of embeddings."
    )
    hidden: NotNegative = Field(
        default=0.0,
        description="Weight of the hidden states (feature maps of a CNN), compared through a learned projection.",
    )
    attention: NotNegative = Field(default=0.0, description="Weight of the attention maps, as in TinyBERT.")
    labels: NotNegative = Field(
        default=0.0,
        description="Weight of the labels of the training data; for language models, of the next tokens.",
    )
    temperature: Positive = Field(
        default=2.0, description="Temperature by which logits are divided before they are compared."
    )

    @model_validator(mode="after")
    def _at_least_one(self) -> "Losses":
        if not any((self.output, self.hidden, self.attention, self.labels)):
            raise ValueError(_LOSSES_TEXT)
        return self

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss needs a teacher."""
        return bool(self.output or self.hidden or self.attention)
