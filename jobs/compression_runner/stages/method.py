"""The interface of a compression method to the planner and the pipeline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from compression_runner.artifact import Artifact, Format
from compression_runner.dataset import SampleSet
from compression_runner.formats.source.inspection import Source
from compressionjob.data import DataRole


class StageData(Protocol):
    """The data that a stage may use. `sequence_length` cuts texts, as in the benchmark."""

    sequence_length: int

    def samples(self, role: DataRole, model_dir: Path) -> SampleSet:
        """Return samples prepared with the files (tokenizer, preprocessor) of `model_dir`.

        Raises InvalidInput for unsuitable data, and for data that contains evaluation samples.
        """

    def teacher(self) -> Artifact:
        """Return the unchanged source model of the job, the teacher in distillation."""

    def model(self, location: str) -> Artifact:
        """Return another model, which the parameters of the stage name by its location."""


@dataclass(frozen=True)
class StageContext:
    """A stage's surroundings: an empty directory for its output, a callback for its progress, and the data.

    `checkpoint_dir` is a directory that outlives the process: an interrupted stage resumes from its files. The stage
    calls `checkpoint_saved` after it wrote them. Only long stages use both.
    """

    output: Path
    field: str
    """The field of the spec that requests the stage, for errors."""
    advance: Callable[[float], None] = lambda _fraction: None
    data: StageData | None = None
    checkpoint_dir: Path | None = None
    checkpoint_saved: Callable[[], None] = lambda: None

    @property
    def required_data(self) -> StageData:
        """The data, for stages that the plan runs only if the job has data."""
        if self.data is None:
            raise ValueError(f"{self.field} runs without data")
        return self.data


@dataclass(frozen=True)
class Outcome:
    """The sealed output of a stage, and details for the report."""

    artifact: Artifact
    details: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[Artifact, Any, StageContext], Outcome]
Formats = frozenset[Format]


MIB: Final = 1 << 20


@dataclass(frozen=True)
class Need:
    """Peak resident memory: fixed bytes plus a factor per byte of float32 weights; lower bound and typical value."""

    least_fixed: int
    least_factor: float
    usual_fixed: int
    usual_factor: float


@dataclass(frozen=True)
class Method:
    """A way to change a model. `version` is part of fingerprints: raise it when the same input gives another output."""

    name: str
    version: int
    accepts: Callable[[Any], Formats]
    """The formats that the method takes with these parameters."""
    run: Run
    gives: Callable[[Format, Any], Format] = lambda before, _parameters: before
    """The format of the output; by default that of the input."""
    require: Callable[[Any, str], None] = lambda _parameters, _field: None
    """Raise BadRecipe, before any download of weights, if this image cannot run the method with these parameters."""
    check_source: Callable[[Any, Source, str], None] = lambda _parameters, _source, _field: None
    """Raise BadRecipe, before any download of weights, if the headers of the source show that the stage must fail."""
    keeps_shapes: Callable[[Any], bool] = lambda _parameters: False
    """Whether the stage keeps the shapes of layers, so that the headers of the source can check the next stage."""
    libraries: tuple[str, ...] = ()
    """Distributions whose version may change the output."""
    need: Need = Need(150 * MIB, 2.0, 450 * MIB, 3.0)
    """Memory for the forecast; a method that states its own has measured it."""
    effort: float = 3.0
    """Rough share of a run's time, for progress; the evaluation has 60."""


def always(*formats: Format) -> Callable[[Any], Formats]:
    """Return an `accepts` that takes these formats with any parameters."""
    return lambda _parameters: frozenset(formats)
