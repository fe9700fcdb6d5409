"""Measurements of one model."""

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.field_types import TolerantSchema

Percentiles = dict[str, float]


class ModelFigures(TolerantSchema):
    """Measurements of one model, baseline or compressed."""

    size_bytes: int = Field(description="Bytes of the model's weight and graph files.")
    peak_memory_bytes: int | None = Field(default=None, description="Peak resident memory of a fresh process.")
    gpu_memory_bytes: int | None = Field(
        default=None,
        description="Memory of that process on the GPU that measures, after its answers; absent if the driver does not "
        "report it.",
    )
    latency_seconds: Percentiles = Field(default={}, description="p50, p90 and p99 of one query, in seconds.")
    latency_intervals: dict[str, Estimate] = Field(default={}, description="The same with their intervals.")
    throughput_per_second: float | None = Field(default=None, description="Samples a second, MLPerf Offline.")
    throughput_interval: Estimate | None = Field(default=None, description="The same with its interval.")
    energy_joules_per_sample: float | None = Field(
        default=None,
        description="Energy of the measuring device (processors, or the GPU) for one sample, MLPerf Offline; absent if "
        "the machine does not report it.",
    )
    energy_interval: Estimate | None = Field(default=None, description="The same with its interval.")
    quality: dict[str, float] = Field(default={}, description="Score by metric.")


class QualityPart(TolerantSchema):
    """A part of the outputs that is judged separately: an output, or channels of it with another magnitude."""

    name: str = Field(description="Name of the output, with the axis and the channels if it is divided.")
    metric: str = Field(description="Metric of the part.")
    score: float = Field(description="Mean score of the compressed model over samples.")
