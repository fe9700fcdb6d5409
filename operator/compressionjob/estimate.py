"""A measured number with its interval."""

import math
from typing import Final

from pydantic import Field, model_validator

from compressionjob.schema import Observed

UNBOUNDED_SECONDS: Final = 86_400.0
"""A day: the number that stands for "no upper bound" of a latency, since JSON has no infinity."""
UNBOUNDED_RATIO: Final = 100_000.0
"""The same for a speed-up of which all of the faster model's time may have been the doing of others."""


def unbounded(value: float, unit: str) -> bool:
    """Whether a number in this unit stands for "no upper bound"."""
    return value >= {"seconds": UNBOUNDED_SECONDS, "ratio": UNBOUNDED_RATIO}.get(unit, math.inf)


class Estimate(Observed):
    """A measured value, and the interval that holds the true one with the wanted confidence.

    Exact numbers (sizes) have ``low == value == high``.
    """

    value: float = Field(description="What was measured.")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    reason: str = Field(default="", description="What made the interval wider than chance alone: noise, an overload.")
    more_seconds: float | None = Field(
        default=None,
        exclude=True,
        description="How much longer spec.benchmark.timeLimit must be, about, for a decision on its limit.",
    )
    more_samples: int | None = Field(
        default=None, exclude=True, description="How many more evaluation samples that decision needs, about."
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Estimate":
        if not self.low <= self.high:
            raise ValueError(f"low {self.low} must not be above high {self.high}")
        return self

    @classmethod
    def exact(cls, value: float) -> "Estimate":
        """A number that was counted, not sampled."""
        return cls(value=value, low=value, high=value)
