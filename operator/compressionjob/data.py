"""The data of a job: for evaluation, training and calibration."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from compressionjob.field_types import ColumnName, Fraction, Schema, cel, with_rules
from compressionjob.locations import SourceText, Storage
from compressionjob.model_state import added_with
from compressionjob.task_data import MAX_TASKS, TASK_RULES, EvaluationTask

MAX_SAMPLES: Final = 1_000_000
MAX_FEATURES: Final = 1000
DataRole = Literal["evaluation", "training", "calibration"]
ROLES: Final[tuple[DataRole, ...]] = ("evaluation", "training", "calibration")

_APART_TEXT: Final = (
    "training and calibration data must differ from the evaluation data; name another source, or set split to divide it"
)
_APART_RULE: Final = (
    "has(self.split) || ((!has(self.training) || self.training.source != self.evaluation.source)"
    " && (!has(self.calibration) || self.calibration.source != self.evaluation.source))"
)


class Columns(Schema):
    """Names of the columns of the data."""

    text: ColumnName = Field(default="text", description="Column with the text.")
    text_pair: ColumnName | None = Field(
        default=None,
        description="Column with the second text of a pair, such as the passage to a query; for text-classification "
        "and text-regression. Example: passage.",
    )
    label: ColumnName = Field(
        default="label",
        description="Column with the label: an integer, or a name that the model knows; for multi-label models a list "
        "of 0 and 1, or of the names or numbers of the labels that apply.",
    )
    image: ColumnName = Field(
        default="image", description="Column with the image: encoded bytes, or an array of pixels."
    )
    audio: ColumnName = Field(
        default="audio", description="Column with the recording: an encoded file (wav, flac), or an array of samples."
    )
    sampling_rate: ColumnName = Field(
        default="sampling_rate", description="Column with the samples per second of arrays in the audio column."
    )
    video: ColumnName = Field(
        default="video", description="Column with the video: an array of frames, or a list of encoded frames."
    )
    features: Annotated[list[ColumnName], Field(max_length=MAX_FEATURES)] = Field(
        default=[],
        description="Input columns of a tabular model, in the model's order; all except label, target and group by "
        "default.",
    )
    target: ColumnName = Field(
        default="target",
        description="Column with the number that a regression predicts, or the text of a summary or a transcript.",
    )
    group: ColumnName | None = Field(
        default=None,
        description="Column with the group of a sample, for sla.fairness (evaluation data). It is not a feature unless "
        "features names it.",
    )


class DataSource(Schema):
    """A file of samples, or a folder of images or recordings."""

    source: SourceText = Field(
        description="A .parquet, .jsonl, .csv or .npz file, or a folder with a subfolder of images or recordings for "
        "each class. For task onnx an .npz file with an array for each input, by its name: the first dimension counts "
        "the samples, or the array is one number for all samples."
    )
    columns: Columns = Field(default=Columns(), description="Names of the columns.")


class EvaluationData(DataSource):
    """Inputs on which the baseline and the compressed model are compared."""

    limit: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        default=1000,
        description="Number of samples used, from the start; windows of sequenceLength tokens for text-generation.",
    )
    storage: Storage | None = Field(default=None, description="Access to all data of the job; spec.storage by default.")


class TrainingData(DataSource):
    """Data for stages that train. Labels are used where there are any."""

    limit: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        default=100_000, description="Number of samples used, from the start."
    )


class CalibrationData(DataSource):
    """Inputs on which activations are observed; the training data by default."""

    limit: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=128, description="Number of samples used, from the start."
    )


class Split(Schema):
    """Division of a source with more than one role. A row keeps its side, whatever the limits are."""

    evaluation: Fraction = Field(
        description='Share of the rows for evaluation: "0.2". The others are for training and calibration.'
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="Seed of the draw.")


class Data(Schema):
    """The data of a job."""

    model_config = with_rules(cel(_APART_RULE, _APART_TEXT))

    evaluation: EvaluationData = Field(
        description="Inputs for measuring quality and latency, and for checking exports."
    )
    training: TrainingData | None = Field(
        default=None, description="Data for stages that train: distill, recover, quantize with method qat."
    )
    calibration: CalibrationData | None = Field(
        default=None,
        description="Data for stages that observe activations; the first samples of the training data by default.",
    )
    split: Split | None = Field(default=None, description="Division of a source that is named twice.")
    tasks: Annotated[list[EvaluationTask], Field(max_length=MAX_TASKS)] = Field(
        default=[],
        description="Tasks on which both models of task text-generation are compared, for sla.recovery and the report.",
        json_schema_extra=added_with(TASK_RULES),
    )

    @model_validator(mode="after")
    def _apart(self) -> "Data":
        learned = [part.source for part in (self.training, self.calibration) if part]
        if self.split is None and self.evaluation.source in learned:
            raise ValueError(_APART_TEXT)
        return self

    def source_for(self, role: DataRole) -> EvaluationData | TrainingData | CalibrationData | None:
        """Return the data for a role; calibration uses the training data where no other is named."""
        if role == "evaluation":
            return self.evaluation
        return self.training if role == "training" else self.calibration or self.training

    def field_of(self, role: DataRole) -> DataRole:
        """Return the field below spec.data that holds the data for a role."""
        return "training" if role == "calibration" and self.calibration is None else role

    def sources(self) -> Iterator[tuple[str, DataSource | EvaluationTask]]:
        """Yield every source with its field."""
        for role in ROLES:
            part: DataSource | None = getattr(self, role)
            if part is not None:
                yield f"spec.data.{role}.source", part
        for index, task in enumerate(self.tasks):
            yield f"spec.data.tasks[{index}].source", task
