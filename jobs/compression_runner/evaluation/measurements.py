"""The models of an evaluation, and its results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from compression_runner.artifact import Artifact
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from compressionjob.report import (
    Environment,
    ModelFigures,
    ObjectiveLooks,
    QualityPart,
    RecoveryReport,
    ServingReport,
)
from compressionjob.trust_report import TrustReport
from compressionjob.verdict import Judgement, judge


@dataclass(frozen=True)
class MeasuredModel:
    """One of the two models: its ONNX file or OpenVINO IR, and its size in bytes (the packed size of a packed model).

    `checkpoint` fetches the Transformers directory that the graph was exported from; None if there is none.
    """

    model: Path
    size_bytes: int
    checkpoint: Callable[[], Artifact] | None = None


@dataclass
class Measurements:
    """All results of an evaluation, with the types of the contract's report."""

    baseline: ModelFigures
    compressed: ModelFigures
    estimates: dict[str, Estimate]
    speedups: dict[str, Estimate]
    quality_drops: dict[str, Estimate]
    quality_metric: str
    anomalies: list[str]
    latency_samples: dict[str, list[float]]
    environment: Environment
    timings: dict[str, float] = field(default_factory=dict)
    trust: TrustReport | None = None
    serving: ServingReport | None = None
    recovery: RecoveryReport | None = None
    looks: list[ObjectiveLooks] = field(default_factory=list)
    quality_parts: list[QualityPart] = field(default_factory=list)

    def judgement(self, limits: Sla) -> Judgement:
        """Return the verdict on the SLA for which the measurements were made."""
        return judge(limits, self.estimates)
