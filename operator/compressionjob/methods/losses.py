"""What a learner is measured by, for every stage that trains with a teacher."""

from pydantic import Field, model_validator

from compressionjob.schema import NotNegative, Positive, Schema, cel, with_rules

_LOSSES_TEXT = "at least one of output, hidden, attention and labels must be above 0"
# A default is checked before the defaults within it are filled in: an absent output is 1.
_LOSSES_RULE = "!has(self.output) || double(self.output) > 0.0 || " + " || ".join(
    f"(has(self.{name}) && double(self.{name}) > 0.0)" for name in ("hidden", "attention", "labels")
)


class Losses(Schema):
    """How much each loss counts; 0 leaves it out."""

    model_config = with_rules(cel(_LOSSES_RULE, _LOSSES_TEXT))

    output: NotNegative = Field(default=1.0, description="Outputs: divergence of logits, or cosine of embeddings.")
    hidden: NotNegative = Field(
        default=0.0, description="Hidden states (feature maps of a CNN), through a learned projection."
    )
    attention: NotNegative = Field(default=0.0, description="Attention maps, as in TinyBERT.")
    labels: NotNegative = Field(
        default=0.0,
        description="The training data's own labels; of language models, which need none, the tokens that follow.",
    )
    temperature: Positive = Field(default=2.0, description="Divides logits before they are compared.")

    @model_validator(mode="after")
    def _some(self) -> "Losses":
        if not any((self.output, self.hidden, self.attention, self.labels)):
            raise ValueError(_LOSSES_TEXT)
        return self

    @property
    def asks_teacher(self) -> bool:
        """Whether a teacher is needed at all."""
        return bool(self.output or self.hidden or self.attention)
