"""Knowledge distillation: a small model learns what a large one answers (Hinton et al. 2015, arXiv:1503.02531)."""

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from compressionjob.locations import SourceText
from compressionjob.methods.losses import Losses
from compressionjob.methods.parameters import ALWAYS, Parameters
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training
from compressionjob.schema import Schema, cel, with_rules

_STUDENT_TEXT = "set at least one of layers, hiddenSize, attentionHeads, intermediateSize"
_STUDENT_RULE = " || ".join(
    f"has(self.{name})" for name in ("layers", "hiddenSize", "attentionHeads", "intermediateSize")
)
_ONE_STUDENT_TEXT = "studentSource names a student, student derives one; set one of them at most"
_ONE_STUDENT_RULE = "!has(self.student) || !has(self.studentSource)"


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
    trains: ClassVar[Predicate] = ALWAYS

    teacher_source: SourceText | None = Field(
        default=None,
        description="A model that teaches: a Transformers folder of the job's task, reached as spec.model. By default "
        "the job's own model as it was before any stage.",
    )
    student: Student | None = Field(
        default=None, description="Derived from the model that the stage gets; that model itself by default."
    )
    student_source: SourceText | None = Field(
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

    def models(self) -> dict[str, str]:
        """The teacher and the student, where they are given."""
        given = {"teacherSource": self.teacher_source, "studentSource": self.student_source}
        return {name: location for name, location in given.items() if location is not None}
