"""Retention: how long what a job leaves in its store is kept, and how much space that takes."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.schema import Duration, Observed, Schema, parse_duration

Retained = Literal["checkpoints", "reports"]
"""A kind of files that has a lifetime. The published model has none: a job removes it only as it publishes another."""

CHECKPOINTS: Final = "checkpoints"
REPORTS: Final = "reports"
RETAINED: Final[tuple[Retained, ...]] = (CHECKPOINTS, REPORTS)

Bytes = Annotated[int, Field(ge=0, le=2**53)]
Lifetime = Annotated[str, Field(max_length=64)]


class Retention(Schema):
    """Lifetimes, counted from the end of a job. What has none is kept."""

    checkpoints: Duration | None = Field(
        default=None,
        description="How long results of stages are kept after the end of the job, such as 168h. Those that another "
        "job uses as well are kept for that job.",
    )
    reports: Duration | None = Field(
        default=None, description="How long report.json, report.html and report.md are kept after the end of the job."
    )


class RuntimeRetention(Schema):
    """Lifetimes of what jobs of a runtime leave behind."""

    default: Retention = Field(default=Retention(), description="Lifetimes of jobs that set none themselves.")
    maximum: Retention = Field(
        default=Retention(),
        description="The longest lifetimes that a job may set, and those of jobs that set none where there is no "
        "default.",
    )


class SpaceUsed(Observed):
    """Bytes in the job's store."""

    checkpoint_bytes: Bytes = Field(default=0, description="Checkpoints that this job wrote.")
    report_bytes: Bytes = Field(default=0, description="Reports of this job.")
    result_bytes: Bytes = Field(default=0, description="The published model.")


class RetentionStatus(Observed):
    """What becomes of the files of a job after its end; the lifetimes are fixed when its first Job is created."""

    checkpoints: Lifetime = Field(default="", description="Lifetime of checkpoints; empty: kept.")
    reports: Lifetime = Field(default="", description="Lifetime of reports; empty: kept.")
    cleaning: Annotated[list[Retained], Field(max_length=8)] = Field(
        default=[], description="What the present Job of the part Clean removes."
    )
    cleaned: Annotated[list[Retained], Field(max_length=8)] = Field(default=[], description="What was removed.")
    attempts: Annotated[int, Field(ge=0)] = Field(default=0, description="How many Jobs of the part Clean have ended.")
    last_attempt_time: Annotated[str, Field(max_length=40)] = Field(
        default="", description="When the last Job of the part Clean ended."
    )
    given_up: bool = Field(default=False, description="Whether removal failed so often that it is not tried again.")

    def pending(self) -> Iterator[tuple[Retained, float]]:
        """What is still to be removed, each with its lifetime in seconds."""
        for kind in RETAINED:
            lifetime: str = getattr(self, kind)
            if lifetime and kind not in self.cleaned and not self.given_up:
                yield kind, parse_duration(lifetime)


def lifetimes(wanted: Retention | None, runtime: RuntimeRetention) -> dict[Retained, str]:
    """Return the lifetimes of a job's files: its own, else the default of its runtime, else the runtime's maximum."""
    chosen = {}
    for kind in RETAINED:
        sources = (wanted or Retention(), runtime.default, runtime.maximum)
        lifetime = next((value for source in sources if (value := getattr(source, kind)) is not None), None)
        if lifetime is not None:
            chosen[kind] = str(lifetime)
    return chosen


def too_long(wanted: Retention | None, name: str, runtime: RuntimeRetention) -> Iterator[FieldProblem]:
    """Lifetimes of a job that are longer than its runtime allows."""
    for kind in RETAINED:
        lifetime, longest = getattr(wanted or Retention(), kind), getattr(runtime.maximum, kind)
        if lifetime is not None and longest is not None and parse_duration(lifetime) > parse_duration(longest):
            remedy = f"the runtime {name!r} allows {longest} at most; set it to that or less, or leave it out"
            yield FieldProblem(f"spec.retention.{kind}", lifetime, remedy)
