"""The data of a job: what it is measured on, what it may learn from, and what it is calibrated with."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from compressionjob.locations import SourceText, Storage
from compressionjob.schema import ColumnName, Fraction, Schema, cel, with_rules

MAX_SAMPLES: Final = 1_000_000
MAX_FEATURES: Final = 1000
DataRole = Literal["evaluation", "training", "calibration"]
ROLES: Final[tuple[DataRole, ...]] = ("evaluation", "training", "calibration")

_APART_TEXT: Final = (
    "data that is learned from must not be what is measured on; name another source, or set split to divide this one"
)
_APART_RULE: Final = (
    "has(self.split) || ((!has(self.training) || self.training.source != self.evaluation.source)"
    " && (!has(self.calibration) || self.calibration.source != self.evaluation.source))"
)


class Columns(Schema):
    """Names of the columns in the data."""

    text: ColumnName = Field(default="text", description="Column with the text.")
    text_pair: ColumnName | None = Field(
        default=None,
        description="Column with the second text of a pair, such as the passage to a query; for text-classification "
        "and text-regression. Example: passage.",
    )
    label: ColumnName = Field(
        default="label",
        description="Column with the label: an integer, or a name the model knows; for models of several labels a list "
        "of 0 and 1, or of the names or numbers that apply.",
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
        description="Columns of numbers that a tabular model takes, in its order; by default all but label and target.",
    )
    target: ColumnName = Field(
        default="target",
        description="Column with the number that a regression predicts, or the text of a summary or a transcript.",
    )
    group: ColumnName | None = Field(
        default=None,
        description="Column that tells groups apart (evaluation data), for sla.fairness. It is no feature unless "
        "features names it.",
    )


class DataSource(Schema):
    """A file of samples, or a folder of images or recordings."""

    source: SourceText = Field(
        description="A .parquet, .jsonl, .csv or .npz file, or a folder of images or recordings in one folder for each "
        "class. For task onnx an .npz whose arrays bear the input names: first dimension samples, or one number for "
        "all of them."
    )
    columns: Columns = Field(default=Columns(), description="Names of the columns.")


class EvaluationData(DataSource):
    """Real inputs on which baseline and result are compared."""

    limit: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        default=1000,
        description="How many samples are used, from the start; windows of sequenceLength tokens for text-generation.",
    )
    storage: Storage | None = Field(
        default=None, description="How to reach all data of the job; spec.storage by default."
    )


class TrainingData(DataSource):
    """What stages that train may learn from; labels are used where there are any."""

    limit: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = Field(
        default=100_000, description="How many samples are used, from the start."
    )


class CalibrationData(DataSource):
    """What activations are observed on; the training data by default."""

    limit: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=128, description="How many samples are used, from the start."
    )


class Split(Schema):
    """Divides a source that serves more than one purpose: a row belongs to one side, whatever the limits are."""

    evaluation: Fraction = Field(
        description='Share of the rows that is measured on: "0.2". The others are learned from.'
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="Seed of the draw.")


class Data(Schema):
    """The data of a job."""

    model_config = with_rules(cel(_APART_RULE, _APART_TEXT))

    evaluation: EvaluationData = Field(description="Inputs for quality, latency and the check of exports.")
    training: TrainingData | None = Field(default=None, description="For stages that train: distill, recover, QAT.")
    calibration: CalibrationData | None = Field(
        default=None, description="For stages that observe activations; the first of the training data by default."
    )
    split: Split | None = Field(default=None, description="How a source that is named twice is divided.")

    @model_validator(mode="after")
    def _apart(self) -> "Data":
        learned = [part.source for part in (self.training, self.calibration) if part]
        if self.split is None and self.evaluation.source in learned:
            raise ValueError(_APART_TEXT)
        return self

    def learned(self, role: DataRole) -> EvaluationData | TrainingData | CalibrationData | None:
        """What plays a role; the training data serves for calibration where nothing else is named."""
        if role == "evaluation":
            return self.evaluation
        return self.training if role == "training" else self.calibration or self.training

    def field_of(self, role: DataRole) -> DataRole:
        """The field below spec.data that plays a role."""
        return "training" if role == "calibration" and self.calibration is None else role

    def sources(self) -> Iterator[tuple[str, DataSource]]:
        """Every source with its field."""
        for role in ROLES:
            part: DataSource | None = getattr(self, role)
            if part is not None:
                yield f"spec.data.{role}.source", part
