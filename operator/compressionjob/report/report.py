"""``report.json``: the full report of a run."""

from typing import Literal

from pydantic import Field

from compressionjob.cost import format_cost
from compressionjob.estimate import Estimate
from compressionjob.field_types import TolerantSchema, format_duration
from compressionjob.report.artifact import ArtifactReport
from compressionjob.report.environment import Environment
from compressionjob.report.job import JobReport
from compressionjob.report.model_figures import ModelFigures, QualityPart
from compressionjob.report.objective_looks import ObjectiveLooks
from compressionjob.report.provenance import Provenance
from compressionjob.report.recovery import RecoveryReport
from compressionjob.report.serving import ServingReport
from compressionjob.report.stages import FallbackReport, StageReport
from compressionjob.review import ReviewOutcome
from compressionjob.trust_report import TrustReport
from compressionjob.verdict import ObjectiveResult, Verdict


class RunCost(TolerantSchema):
    """Cost of a run by the price of its hardware. It does not include other pods and parts of the job."""

    price_per_hour: float = Field(description="Price per hour of the hardware.")
    seconds: float = Field(description="Seconds from the start of the run to its report.")
    cost: float = Field(description="Cost of this time.")
    baseline_per_million: Estimate | None = Field(
        default=None, description="Cost of a million samples for the baseline, at its measured throughput."
    )
    compressed_per_million: Estimate | None = Field(default=None, description="The same for the compressed model.")

    def sentence(self) -> str:
        """Return the cost in a sentence."""
        ran = format_duration(self.seconds)
        return f"{format_cost(self.cost)} for {ran} at {self.price_per_hour:g} an hour, for this run only"


class Report(TolerantSchema):
    """``report.json``: the facts that a reviewer needs to sign."""

    schema_version: Literal["1"] = "1"
    job: JobReport = Field(description="Job.")
    verdict: Verdict = Field(description="Verdict.")
    confidence: float = Field(description="Confidence of the verdict, over all objectives together.")
    sentence: str = Field(default="", description="Verdict in one sentence.")
    anomalies: list[str] = Field(default=[], description="Promises of the methods that the compressed model breaks.")
    published: bool = Field(default=False, description="Whether the model was published.")
    held: bool = Field(default=False, description="Whether the model waits for a review.")
    review: ReviewOutcome | None = Field(default=None, description="Outcome of the review.")
    objectives: list[ObjectiveResult] = Field(default=[], description="Results of the objectives, one for each limit.")
    looks: list[ObjectiveLooks] = Field(default=[], description="Interim looks at each measured objective.")
    baseline: ModelFigures
    compressed: ModelFigures
    speedups: dict[str, Estimate] = Field(
        default={}, description="Latency of the baseline divided by that of the compressed model."
    )
    quality_drops: dict[str, Estimate] = Field(
        default={}, description="Loss by metric, with intervals: drop of a score, relative increase of an error."
    )
    quality_parts: list[QualityPart] = Field(
        default=[],
        description="Parts of the outputs that are judged separately, the worst first. The score of a sample is that "
        "of its worst part. Empty if the outputs are not divided.",
    )
    trust: TrustReport | None = Field(default=None, description="Fairness, robustness, attributions and flips.")
    serving: ServingReport | None = Field(
        default=None, description="Measurements on the serving engine; absent without spec.benchmark.serving."
    )
    recovery: RecoveryReport | None = Field(
        default=None, description="Recovery of tasks; absent without spec.data.tasks."
    )
    stages: list[StageReport] = Field(default=[], description="Stages in order.")
    fallback: FallbackReport | None = Field(
        default=None, description="Outcome of the fallback to an earlier stage; absent if there was none."
    )
    latency_samples: dict[str, list[float]] = Field(
        default={}, description="Latencies in seconds, baseline and compressed, for the chart."
    )
    timings: dict[str, float] = Field(default={}, description="Seconds by phase of the run.")
    cost: RunCost | None = Field(default=None, description="Cost of the run; absent without a price.")
    environment: Environment = Field(default=Environment(), description="Conditions of the measurement.")
    provenance: Provenance = Field(default=Provenance(), description="Provenance of the compressed model.")
    artifact: ArtifactReport = Field(default=ArtifactReport(), description="Compressed model.")
