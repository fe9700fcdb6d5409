"""What every method is to the planner and the pipeline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compression_runner.artifact import Artifact, Format


@dataclass(frozen=True)
class StageContext:
    """What a stage gets besides its input: an empty directory for its output, and a way to tell how far it is."""

    output: Path
    field: str
    """The field of the spec that asked for the stage, for errors."""
    advance: Callable[[float], None] = lambda _fraction: None


@dataclass(frozen=True)
class Outcome:
    """A stage's sealed output, and what it tells about its work."""

    artifact: Artifact
    details: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[Artifact, Any, StageContext], Outcome]


@dataclass(frozen=True)
class Method:
    """A way to change a model. `version` is part of fingerprints: raise it when the same input gives another output."""

    name: str
    version: int
    accepts: frozenset[Format]
    run: Run
    libraries: tuple[str, ...] = ()
    """Distributions whose version may change the output."""
