"""The limits on latencies of served requests that a job sets in seconds (max)."""

from collections.abc import Iterator
from dataclasses import dataclass

from compression_runner.evaluation.speed.latency_run import QUANTILES
from compressionjob.field_types import parse_duration
from compressionjob.objectives import Sla


@dataclass(frozen=True)
class LatencyBound:
    """The most seconds of a latency at a percentile."""

    name: str
    percentile: str
    seconds: float

    @property
    def quantile(self) -> float:
        """The percentile as a share."""
        return QUANTILES[self.percentile]


def latency_bounds(limits: Sla) -> Iterator[LatencyBound]:
    """Yield the limits in seconds."""
    for name, limit in limits.served_latencies().items():
        if limit.max is not None:
            yield LatencyBound(name, limit.percentile, parse_duration(limit.max))
