"""What was measured of one model."""

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.schema import Observed

Percentiles = dict[str, float]


class ModelFigures(Observed):
    """What was measured of one model, baseline or compressed."""

    size_bytes: int = Field(description="Bytes of the model's weight and graph files.")
    peak_memory_bytes: int | None = Field(default=None, description="Peak resident memory of a fresh process.")
    latency_seconds: Percentiles = Field(default={}, description="p50, p90 and p99 of one query, in seconds.")
    latency_intervals: dict[str, Estimate] = Field(default={}, description="The same with their intervals.")
    throughput_per_second: float | None = Field(default=None, description="Samples a second, MLPerf Offline.")
    throughput_interval: Estimate | None = Field(default=None, description="The same with its interval.")
    energy_joules_per_sample: float | None = Field(
        default=None, description="Energy of the CPU for one sample, MLPerf Offline; absent where nothing tells it."
    )
    energy_interval: Estimate | None = Field(default=None, description="The same with its interval.")
    quality: dict[str, float] = Field(default={}, description="Score by metric.")


class QualityPart(Observed):
    """A part of the answers that is judged apart: an output, or channels of unlike magnitude within one."""

    name: str = Field(description="The output, with the channels and their axis where it is divided.")
    metric: str = Field(description="What it is measured by.")
    score: float = Field(description="The result's score, mean over samples.")
