"""Interim looks at the objectives: their intervals during the measurement, and the differences that they resolve."""

from pydantic import Field

from compressionjob.report.section import ReportSection
from compressionjob.verdict import LimitVerdict


class Look(ReportSection):
    """One interim look at an objective. The intervals of all looks hold together."""

    seconds: float = Field(description="Seconds since the measurement started.")
    count: int = Field(description="Number of measurements so far.")
    value: float = Field(description="Value measured so far.")
    low: float = Field(description="Lower end of its interval.")
    high: float = Field(description="Upper end of its interval.")
    verdict: LimitVerdict = Field(description="Verdict of the interval on the limit.")


class ObjectiveLooks(ReportSection):
    """The looks at one objective, in order."""

    objective: str = Field(description="Name of the objective.")
    counts: str = Field(
        default="", description="Unit of the count: samples, queries, blocks, processes, requests or documents."
    )
    began: float = Field(
        default=0.0, description="Start of measuring this objective, in seconds since the measurement started."
    )
    planned: int | None = Field(default=None, description="Number of looks that share the confidence.")
    looks: list[Look] = Field(default=[], description="The looks. The last one is judged.")
    resolution: float | None = Field(
        default=None,
        description="Distance from the measured value within which a limit would be undecided, in its unit.",
    )
    seconds_for_half: float | None = Field(
        default=None, description="About how many seconds of measuring would halve that distance."
    )
