"""A measured number with its interval."""

import math
from typing import Final

from pydantic import Field, model_validator

from compressionjob.field_types import TolerantSchema

UNBOUNDED_SECONDS: Final = 86_400.0
"""Stands for "no upper bound" of a latency, since JSON has no infinity: one day."""
UNBOUNDED_RATIO: Final = 100_000.0
"""Stands for "no upper bound" of a speed-up: other processes may account for all the time of the faster model."""

UNBOUNDED_RATE: Final = 1_000_000.0
"""Stands for "no upper bound" of the highest rate of requests: no rate was found at which a limit breaks."""


def unbounded(value: float, unit: str) -> bool:
    """Return whether a number in this unit stands for "no upper bound"."""
    bounds = {"seconds": UNBOUNDED_SECONDS, "ratio": UNBOUNDED_RATIO, "requests per second": UNBOUNDED_RATE}
    return value >= bounds.get(unit, math.inf)


class Estimate(TolerantSchema):
    """A measured value and its confidence interval.

    Exact numbers (sizes) have ``low == value == high``.
    """

    value: float = Field(description="Measured value.")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    reason: str = Field(
        default="", description="Why the interval is wider than by chance alone, such as noise or an overload."
    )
    more_seconds: float | None = Field(
        default=None,
        exclude=True,
        description="About how much longer spec.benchmark.timeLimit must be to decide its limit.",
    )
    more_samples: int | None = Field(
        default=None, exclude=True, description="About how many more evaluation samples would decide its limit."
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Estimate":
        if not self.low <= self.high:
            raise ValueError(f"low {self.low} must not be above high {self.high}")
        if math.isnan(self.value):
            raise ValueError("the value is not a number, so it cannot be compared with a limit")
        return self

    @classmethod
    def exact(cls, value: float) -> "Estimate":
        """Return the estimate of a number that is known exactly."""
        return cls(value=value, low=value, high=value)
