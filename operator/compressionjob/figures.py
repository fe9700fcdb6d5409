"""Figures as text, in the units of objectives."""

from compressionjob.cost import format_cost
from compressionjob.estimate import unbounded
from compressionjob.field_types import format_bytes, format_duration


def write_figure(value: float, unit: str) -> str:
    """Format a value in a unit of an objective."""
    if unbounded(value, unit):
        return "unbounded"
    if unit == "bytes":
        return format_bytes(value)
    if unit == "seconds":
        return format_duration(value)
    if unit == "score":
        return f"{value:.4f}"
    if unit == "error":
        return short_number(value, 5)
    if unit == "cost per million samples":
        return format_cost(value)
    return short_number(value, 3)


def short_number(value: float, digits: int) -> str:
    """Return a number with at most ``digits`` significant digits, and a large one in full: 1000, never 1e+03."""
    return f"{value:.{digits}g}" if abs(value) < 10**digits - 0.5 else f"{value:.0f}"
