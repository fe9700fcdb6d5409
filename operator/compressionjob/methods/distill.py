"""Knowledge distillation: a small model learns the outputs of a large one (Hinton et al. 2015, arXiv:1503.02531)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from compressionjob.field_types import Schema, cel, with_rules
from compressionjob.locations import SourceText
from compressionjob.methods.losses import Losses
from compressionjob.methods.parameters import ALWAYS, LabelNeed, Parameters
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training

_STUDENT_TEXT = "set at least one of layers, hiddenSize, attentionHeads, intermediateSize"
_STUDENT_RULE = " || ".join(
    f"has(self.{name})" for name in ("layers", "hiddenSize", "attentionHeads", "intermediateSize")
)
_ONE_STUDENT_TEXT = "studentSource names a student, student derives one; set at most one of them"
_ONE_STUDENT_RULE = "!has(self.student) || !has(self.studentSource)"


class Student(Schema):
    """A student derived from the model before the stage: fewer or narrower layers, initialized with its weights."""

    model_config = with_rules(cel(_STUDENT_RULE, _STUDENT_TEXT))

    layers: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Number of layers to keep, evenly spread over the depth."
    )
    hidden_size: Annotated[int, Field(ge=8, le=65536)] | None = Field(
        default=None, description="Width of the hidden states; the dimensions with the largest weights are kept."
    )
    attention_heads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="Attention heads of each layer; their total width must equal that of the hidden states.",
    )
    intermediate_size: Annotated[int, Field(ge=8, le=262144)] | None = Field(
        default=None, description="Width of the feed-forward layers; the neurons with the largest weights are kept."
    )

    @model_validator(mode="after")
    def _at_least_one(self) -> "Student":
        if not self.model_dump(exclude_none=True):
            raise ValueError(_STUDENT_TEXT)
        return self


class Distill(Parameters):
    """Train a student on the outputs of a teacher."""

    model_config = with_rules(cel(_ONE_STUDENT_RULE, _ONE_STUDENT_TEXT))
    trains: ClassVar[Predicate] = ALWAYS
    removed: ClassVar[Mapping[str, str]] = {
        "teacher": "remove it, since the teacher is the job's own model by default; teacherSource names another one",
    }

    teacher_source: SourceText | None = Field(
        default=None,
        description="Teacher: a Transformers folder for the job's task, read with the storage settings of spec.model. "
        "By default the job's own model before any stage.",
    )
    student: Student | None = Field(
        default=None, description="Student derived from the input model of the stage; that model itself by default."
    )
    student_source: SourceText | None = Field(
        default=None,
        description="Student: a Transformers folder for the job's task, read with the storage settings of spec.model.",
    )
    losses: Losses = Field(default=Losses(), description="Losses of the student.")
    training: Training = Field(default=Training(), description="Training of the student.")

    @model_validator(mode="after")
    def _one_student(self) -> "Distill":
        if self.student is not None and self.student_source is not None:
            raise ValueError(_ONE_STUDENT_TEXT)
        return self

    def promise(self) -> Promise:
        """Return that the student is not larger than its teacher. The loss of quality depends on its size."""
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=None)

    def labels_needed(self) -> LabelNeed | None:
        """Return the loss on labels if it has a weight."""
        weight = self.losses.labels
        return LabelNeed("losses.labels", str(weight), "set losses.labels to 0") if weight > 0 else None

    def models(self) -> dict[str, str]:
        """Return the teacher and the student that the stage names."""
        given = {"teacherSource": self.teacher_source, "studentSource": self.student_source}
        return {name: location for name, location in given.items() if location is not None}
