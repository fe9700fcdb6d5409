"""The cost of pods: the price of an hour times the time that their container ran.

The currency is that of ``pricePerHour`` in the runtimes of the platform team.
"""

from typing import Final

from compressionjob.estimate import Estimate
from compressionjob.field_types import Positive, Schema

SECONDS_PER_HOUR: Final = 3600.0
MILLION: Final = 1e6


class _Price(Schema):
    price: Positive


def parse_price(text: str) -> float:
    """Parse the price in an annotation or a variable.

    Raises pydantic's ValueError when it is not a decimal number above 0.
    """
    return _Price(price=text).price  # type: ignore[arg-type]


def cost_of(seconds: float, price_per_hour: float) -> float:
    """Return the cost of a pod that ran for ``seconds``."""
    return seconds * price_per_hour / SECONDS_PER_HOUR


def cost_per_million(price_per_hour: float, rate: Estimate) -> Estimate:
    """Return the cost of a million samples at a rate in samples per second; the highest rate gives the lowest cost."""
    hour = price_per_hour * MILLION / SECONDS_PER_HOUR
    value, low, high = (hour / max(samples, _SLOWEST) for samples in (rate.value, rate.high, rate.low))
    return Estimate(value=value, low=low, high=high, reason=rate.reason)


_SLOWEST: Final = 1e-6
"""Samples per second that stand for 0, since JSON has no infinity for the cost."""


def format_cost(cost: float) -> str:
    """Format a cost with four decimals, and one below 0.01 with six."""
    return f"{cost:.4f}" if cost == 0 or cost >= 0.01 else f"{cost:.6f}"
