"""``report.json``: the full report of a run."""

from typing import Literal

from pydantic import Field

from compressionjob.cost import format_cost
from compressionjob.estimate import Estimate
from compressionjob.report.artifact import ArtifactReport
from compressionjob.report.environment import Environment
from compressionjob.report.figures import ModelFigures, QualityPart
from compressionjob.report.job import JobReport
from compressionjob.report.looks import ObjectiveLooks
from compressionjob.report.provenance import Provenance
from compressionjob.report.stages import FallbackReport, StageReport
from compressionjob.review import ReviewOutcome
from compressionjob.schema import Observed, format_duration
from compressionjob.sla import ObjectiveResult, Verdict
from compressionjob.trust_report import TrustReport


class RunCost(Observed):
    """What a run cost, by the price of its hardware; its other pods and parts are not known to it."""

    price_per_hour: float = Field(description="Price of an hour of the hardware.")
    seconds: float = Field(description="Seconds from the run's beginning to its report.")
    cost: float = Field(description="What these cost.")
    baseline_per_million: Estimate | None = Field(
        default=None, description="Cost of a million samples answered by the baseline, at its measured throughput."
    )
    compressed_per_million: Estimate | None = Field(default=None, description="The same of the result.")

    def sentence(self) -> str:
        """The run's cost for people."""
        ran = format_duration(self.seconds)
        return f"{format_cost(self.cost)} for {ran} at {self.price_per_hour:g} an hour, this run alone"


class Report(Observed):
    """``report.json``: everything that a person who signs needs."""

    schema_version: Literal["1"] = "1"
    job: JobReport = Field(description="The job.")
    verdict: Verdict = Field(description="The verdict.")
    confidence: float = Field(description="Its confidence, over all objectives together.")
    sentence: str = Field(default="", description="The verdict in one sentence.")
    anomalies: list[str] = Field(default=[], description="Promises of the methods that the result does not keep.")
    published: bool = Field(default=False, description="Whether the result was published.")
    held: bool = Field(default=False, description="Whether it waits for its review.")
    review: ReviewOutcome | None = Field(default=None, description="Who decided about publishing, when and why.")
    objectives: list[ObjectiveResult] = Field(default=[], description="Limit by limit.")
    looks: list[ObjectiveLooks] = Field(
        default=[], description="How the interval of each measured objective closed, look by look."
    )
    baseline: ModelFigures
    compressed: ModelFigures
    speedups: dict[str, Estimate] = Field(default={}, description="Baseline's latency divided by the result's.")
    quality_drops: dict[str, Estimate] = Field(
        default={}, description="Loss by metric, with intervals: a score's drop, an error's increase as a share."
    )
    quality_parts: list[QualityPart] = Field(
        default=[],
        description="What is judged apart, the worst first: a sample's score is that of its worst part. Empty where "
        "answers are one thing.",
    )
    trust: TrustReport | None = Field(default=None, description="Groups, disturbed inputs, attributions and flips.")
    stages: list[StageReport] = Field(default=[], description="The stages in order.")
    fallback: FallbackReport | None = Field(
        default=None, description="Where an earlier result was looked for: what for, and what was found."
    )
    latency_samples: dict[str, list[float]] = Field(
        default={}, description="Latencies in seconds, baseline and compressed, for the picture."
    )
    timings: dict[str, float] = Field(default={}, description="Seconds by phase of the run.")
    cost: RunCost | None = Field(default=None, description="What the run cost; absent where no price is known.")
    environment: Environment = Field(default=Environment(), description="The conditions of the measurement.")
    provenance: Provenance = Field(default=Provenance(), description="How the result came to be.")
    artifact: ArtifactReport = Field(default=ArtifactReport(), description="The result.")
