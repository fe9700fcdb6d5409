"""How the intervals of the objectives closed while a job was measured, and which differences they can tell apart."""

from pydantic import Field

from compressionjob.report.section import ReportSection
from compressionjob.sla import LimitVerdict


class Look(ReportSection):
    """One look at an objective; the intervals of all looks hold together."""

    seconds: float = Field(description="Seconds since measuring began.")
    count: int = Field(description="How many measurements there were.")
    value: float = Field(description="What was measured so far.")
    low: float = Field(description="Lower end of its interval.")
    high: float = Field(description="Upper end of its interval.")
    verdict: LimitVerdict = Field(description="What the interval says of the limit.")


class ObjectiveLooks(ReportSection):
    """The looks at one objective, in order."""

    objective: str = Field(description="Name of the objective.")
    counts: str = Field(default="", description="What is counted: samples, queries, blocks or processes.")
    began: float = Field(default=0.0, description="Seconds since measuring began, when measuring this one began.")
    planned: int | None = Field(default=None, description="For how many looks the confidence was divided.")
    looks: list[Look] = Field(default=[], description="The looks; the last one is judged.")
    resolution: float | None = Field(
        default=None,
        description="Distance from the measured value within which a limit would have stayed open, in its unit.",
    )
    seconds_for_half: float | None = Field(
        default=None, description="Seconds of measuring after which about half of that distance would be told apart."
    )
