"""Retention: lifetimes of the files that a job writes to its store, and the space that they use."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.field_types import Duration, Schema, TolerantSchema, parse_duration

Retained = Literal["checkpoints", "reports"]
"""A kind of files with a lifetime. The published model has none: a job removes it only when it publishes another."""

CHECKPOINTS: Final = "checkpoints"
REPORTS: Final = "reports"
RETAINED: Final[tuple[Retained, ...]] = (CHECKPOINTS, REPORTS)

Bytes = Annotated[int, Field(ge=0, le=2**53)]
Lifetime = Annotated[str, Field(max_length=64)]


class Retention(Schema):
    """Lifetimes of files, counted from the end of a job. Files without a lifetime are kept."""

    checkpoints: Duration | None = Field(
        default=None,
        description="Time to keep checkpoints after the end of the job, such as 168h. Checkpoints that another job "
        "also uses are kept for that job.",
    )
    reports: Duration | None = Field(
        default=None, description="Time to keep report.json, report.html and report.md after the end of the job."
    )


class RuntimeRetention(Schema):
    """Lifetimes of the files of jobs on a runtime."""

    default: Retention = Field(default=Retention(), description="Lifetimes for jobs that set none.")
    maximum: Retention = Field(
        default=Retention(),
        description="Longest lifetimes that a job may set. They also apply to jobs that set none if there is no "
        "default.",
    )


class SpaceUsed(TolerantSchema):
    """Space that a job uses in its store, in bytes."""

    checkpoint_bytes: Bytes = Field(default=0, description="Checkpoints that this job wrote.")
    report_bytes: Bytes = Field(default=0, description="Reports of this job.")
    result_bytes: Bytes = Field(default=0, description="The published model.")


class RetentionStatus(TolerantSchema):
    """Removal of the files of a job after its end. The lifetimes are fixed when its first Job is created."""

    checkpoints: Lifetime = Field(default="", description="Lifetime of checkpoints; empty if they are kept.")
    reports: Lifetime = Field(default="", description="Lifetime of reports; empty if they are kept.")
    cleaning: Annotated[list[Retained], Field(max_length=8)] = Field(
        default=[], description="Files that the current Job of the part Clean removes."
    )
    cleaned: Annotated[list[Retained], Field(max_length=8)] = Field(default=[], description="Files that were removed.")
    attempts: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Number of Jobs of the part Clean that have ended."
    )
    last_attempt_time: Annotated[str, Field(max_length=40)] = Field(
        default="", description="End of the last Job of the part Clean."
    )
    given_up: bool = Field(default=False, description="Whether removal failed too often and is not retried.")

    def pending(self) -> Iterator[tuple[Retained, float]]:
        """Yield the kinds of files to remove, each with its lifetime in seconds."""
        for kind in RETAINED:
            lifetime: str = getattr(self, kind)
            if lifetime and kind not in self.cleaned and not self.given_up:
                yield kind, parse_duration(lifetime)


def lifetimes(wanted: Retention | None, runtime: RuntimeRetention) -> dict[Retained, str]:
    """Return the lifetimes of a job's files: from the job, else the runtime's default, else the runtime's maximum."""
    chosen = {}
    for kind in RETAINED:
        sources = (wanted or Retention(), runtime.default, runtime.maximum)
        lifetime = next((value for source in sources if (value := getattr(source, kind)) is not None), None)
        if lifetime is not None:
            chosen[kind] = str(lifetime)
    return chosen


def too_long(wanted: Retention | None, name: str, runtime: RuntimeRetention) -> Iterator[FieldProblem]:
    """Yield lifetimes of a job that are longer than its runtime allows."""
    for kind in RETAINED:
        lifetime, longest = getattr(wanted or Retention(), kind), getattr(runtime.maximum, kind)
        if lifetime is not None and longest is not None and parse_duration(lifetime) > parse_duration(longest):
            remedy = f"the runtime {name!r} allows at most {longest}; write {longest} or less, or leave it out"
            yield FieldProblem(f"spec.retention.{kind}", lifetime, remedy)
