"""What pods cost: the price of an hour times the time that their container ran.

The currency is the platform team's own: whatever ``pricePerHour`` of their runtimes is written in.
"""

from typing import Final

from compressionjob.estimate import Estimate
from compressionjob.schema import Positive, Schema

SECONDS_PER_HOUR: Final = 3600.0
MILLION: Final = 1e6


class _Price(Schema):
    price: Positive


def parse_price(text: str) -> float:
    """The price in an annotation or a variable.

    Raises ValueError (pydantic's) when it is no decimal number above 0.
    """
    return _Price(price=text).price  # type: ignore[arg-type]


def cost_of(seconds: float, price_per_hour: float) -> float:
    """What a pod costs that ran for so long."""
    return seconds * price_per_hour / SECONDS_PER_HOUR


def cost_per_million(price_per_hour: float, rate: Estimate) -> Estimate:
    """What a million samples cost at a rate in samples per second; the fastest rate gives the least cost."""
    hour = price_per_hour * MILLION / SECONDS_PER_HOUR
    value, low, high = (hour / max(samples, _SLOWEST) for samples in (rate.value, rate.high, rate.low))
    return Estimate(value=value, low=low, high=high, reason=rate.reason)


_SLOWEST: Final = 1e-6
"""Samples per second that stand for none: JSON has no infinity."""


def format_cost(cost: float) -> str:
    """A cost as it is written in a status: to the hundredth of a cent, and smaller ones to the millionth."""
    return f"{cost:.4f}" if cost == 0 or cost >= 0.01 else f"{cost:.6f}"
