"""Knowledge distillation: a small model learns what a large one answers (Hinton et al. 2015, arXiv:1503.02531)."""

from typing import Annotated

from pydantic import Field, model_validator

from compressionjob.data import DataRole
from compressionjob.locations import LocationText
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training
from compressionjob.schema import NotNegative, Positive, Schema, cel, with_rules

_LOSSES_TEXT = "at least one of output, hidden, attention and labels must be above 0"
# A default is checked before the defaults within it are filled in: an absent output is 1.
_LOSSES_RULE = "!has(self.output) || double(self.output) > 0.0 || " + " || ".join(
    f"(has(self.{name}) && double(self.{name}) > 0.0)" for name in ("hidden", "attention", "labels")
)
_STUDENT_TEXT = "set at least one of layers, hiddenSize, attentionHeads, intermediateSize"
_STUDENT_RULE = " || ".join(
    f"has(self.{name})" for name in ("layers", "hiddenSize", "attentionHeads", "intermediateSize")
)
_ONE_STUDENT_TEXT = "studentSource names a student, student derives one; set one of them at most"
_ONE_STUDENT_RULE = "!has(self.student) || !has(self.studentSource)"


class Losses(Schema):
    """How much each loss counts; 0 leaves it out."""

    model_config = with_rules(cel(_LOSSES_RULE, _LOSSES_TEXT))

    output: NotNegative = Field(default=1.0, description="Outputs: divergence of logits, or cosine of embeddings.")
    hidden: NotNegative = Field(
        default=0.0, description="Hidden states (feature maps of a CNN), through a learned projection."
    )
    attention: NotNegative = Field(default=0.0, description="Attention maps, as in TinyBERT.")
    labels: NotNegative = Field(default=0.0, description="The training data's own labels.")
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


class Student(Schema):
    """A student derived from the model before: fewer layers and narrower ones, with weights taken over from it."""

    model_config = with_rules(cel(_STUDENT_RULE, _STUDENT_TEXT))

    layers: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Layers that are kept, evenly spread over the depth."
    )
    hidden_size: Annotated[int, Field(ge=8, le=65536)] | None = Field(
        default=None, description="Width of the hidden states; the dimensions with the largest weights are kept."
    )
    attention_heads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Attention heads of each layer; together they must be as wide as the hidden states."
    )
    intermediate_size: Annotated[int, Field(ge=8, le=262144)] | None = Field(
        default=None, description="Width of the feed-forward layers; the neurons with the largest weights are kept."
    )

    @model_validator(mode="after")
    def _some(self) -> "Student":
        if not self.model_dump(exclude_none=True):
            raise ValueError(_STUDENT_TEXT)
        return self


class Distill(Parameters):
    """Train a student to answer as its teacher does."""

    model_config = with_rules(cel(_ONE_STUDENT_RULE, _ONE_STUDENT_TEXT))

    teacher_source: LocationText | None = Field(
        default=None,
        description="A model that teaches: a Transformers folder of the job's task, reached as spec.model. By default "
        "the job's own model as it was before any stage.",
    )
    student: Student | None = Field(
        default=None, description="Derived from the model that the stage gets; that model itself by default."
    )
    student_source: LocationText | None = Field(
        default=None, description="A model that learns: a Transformers folder of the job's task, reached as spec.model."
    )
    losses: Losses = Field(default=Losses(), description="What the student is measured by.")
    training: Training = Field(default=Training(), description="How it is trained.")

    @model_validator(mode="after")
    def _one_student(self) -> "Distill":
        if self.student is not None and self.student_source is not None:
            raise ValueError(_ONE_STUDENT_TEXT)
        return self

    def promise(self) -> Promise:
        """A student is never larger than its teacher; how much it loses depends on how small it is."""
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=None)

    def needs(self) -> frozenset[DataRole]:
        """Inputs to learn on; labels are optional."""
        return frozenset({"training"})

    def models(self) -> dict[str, str]:
        """The teacher and the student, where they are given."""
        given = {"teacherSource": self.teacher_source, "studentSource": self.student_source}
        return {name: location for name, location in given.items() if location is not None}
