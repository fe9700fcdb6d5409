"""What every method is to the planner and the pipeline."""

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
        """Samples prepared with the files (tokenizer, preprocessor) of `model_dir`.

        Raises InvalidInput for data that cannot be used, or that holds what the result will be measured on.
        """

    def teacher(self) -> Artifact:
        """The job's model as it came: what a student learns from."""

    def model(self, location: str) -> Artifact:
        """Another model that the stage's parameters name."""


@dataclass(frozen=True)
class StageContext:
    """What a stage gets besides its input: an empty directory for its output, and a way to tell how far it is.

    `keep` is a directory that outlives the process: a stage that is cut off finds there what it left, after `kept` was
    called. Both are for long stages alone.
    """

    output: Path
    field: str
    """The field of the spec that asked for the stage, for errors."""
    advance: Callable[[float], None] = lambda _fraction: None
    data: StageData | None = None
    keep: Path | None = None
    kept: Callable[[], None] = lambda: None

    @property
    def required_data(self) -> StageData:
        """The data, for stages that the plan runs only where there is some."""
        if self.data is None:
            raise ValueError(f"{self.field} runs without data")
        return self.data


@dataclass(frozen=True)
class Outcome:
    """A stage's sealed output, and what it tells about its work."""

    artifact: Artifact
    details: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[Artifact, Any, StageContext], Outcome]
Formats = frozenset[Format]


MIB: Final = 1 << 20


@dataclass(frozen=True)
class Need:
    """Peak resident memory: fixed bytes, and bytes for each byte of float32 weights; for certain, and as is usual."""

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
    """The format of the result; by default that of the input."""
    require: Callable[[Any, str], None] = lambda _parameters, _field: None
    """Raises BadRecipe, before weights move, where this image cannot run the method with these parameters."""
    check_source: Callable[[Any, Source, str], None] = lambda _parameters, _source, _field: None
    """Raises BadRecipe, before weights move, where the headers of the source show that the stage cannot succeed."""
    keeps_shapes: Callable[[Any], bool] = lambda _parameters: False
    """Whether the layers have the same shapes after the stage, so that the next stage can be checked by the source."""
    libraries: tuple[str, ...] = ()
    """Distributions whose version may change the output."""
    need: Need = Need(150 * MIB, 2.0, 450 * MIB, 3.0)
    """Memory for the forecast, measured where a method states its own."""
    effort: float = 3.0
    """Rough share of a run's time, for progress; measuring has 60."""


def always(*formats: Format) -> Callable[[Any], Formats]:
    """A method that takes these formats, whatever its parameters are."""
    return lambda _parameters: frozenset(formats)
