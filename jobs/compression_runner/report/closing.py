"""The chart of how an objective's interval narrows over time, as data for the template's inline SVG."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import nice
from compressionjob.estimate import unbounded
from compressionjob.figures import short_number
from compressionjob.report import Look, ObjectiveLooks
from compressionjob.verdict import ObjectiveResult

WIDTH: Final = 320.0
HEIGHT: Final = 130.0
WIDE_RANGE: Final = 10.0
"""The axis is logarithmic if the last look is this many times as late as the first one."""
ROOM: Final = 1.5
"""Largest extent of the chart above and below limit and last interval, as a multiple of their distance."""
Y_TICKS: Final = 4
X_TICKS: Final = 4
ALONE: Final = 9.0
"""Half the width of the band of a single look."""
LABEL: Final = 14.0
"""Height of a line of text."""


@dataclass(frozen=True)
class Whisker:
    """The interval at one look; `above` and `below` mean that it continues beyond the chart."""

    x: float
    top: float
    bottom: float
    value: float
    above: bool
    below: bool


@dataclass(frozen=True)
class Closing:
    """The band between the ends of the intervals, a whisker for each look, the limit, and the decisive look.

    `kept_top` and `kept_height` are the area in which the limit is kept; ticks are (position, text).
    """

    band: str
    values: str
    whiskers: tuple[Whisker, ...]
    decisive: Whisker
    decisive_text_x: float
    decisive_text_y: float
    anchor: str
    limit: float
    limit_text: str
    limit_text_y: float
    limit_at_end: bool
    kept_top: float
    kept_height: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def closing(result: ObjectiveResult, history: ObjectiveLooks, decisive: int, unit: str) -> Closing:
    """Return the chart of at least one look; look number `decisive` is marked, and numbers have the unit `unit`."""
    seconds = [max(look.seconds - history.began, 0.0) for look in history.looks]
    across, x_ticks = _time_axis(seconds)
    bottom, top = _span(result, history.looks)

    def place(value: float) -> float:
        return round((top - min(top, max(bottom, value))) / (top - bottom) * HEIGHT, 1)

    whiskers = tuple(
        Whisker(
            x=across(time),
            top=place(look.high),
            bottom=place(look.low),
            value=place(look.value),
            above=look.high > top or unbounded(look.high, result.unit),
            below=look.low < bottom,
        )
        for time, look in zip(seconds, history.looks, strict=True)
    )
    limit, mark = place(result.limit), whiskers[decisive]
    at_most = result.direction == "at most"
    # The word is on the side of the value away from the limit, if there is space.
    above = mark.value > LABEL * 1.5 and (mark.value <= limit or mark.value > HEIGHT - LABEL * 1.5)
    return Closing(
        band=_band(whiskers),
        values=_line([(one.x, one.value) for one in whiskers]),
        whiskers=whiskers,
        decisive=mark,
        decisive_text_x=round(mark.x + (-8 if mark.x > WIDTH / 2 else 8), 1),
        decisive_text_y=round(mark.value + (-8 if above else LABEL + 3), 1),
        anchor="end" if mark.x > WIDTH / 2 else "start",
        limit=limit,
        limit_text=f"limit {wording.number(result.limit, unit)}",
        limit_text_y=round(limit - 5 if limit > LABEL + 4 else limit + LABEL, 1),
        limit_at_end=mark.x <= WIDTH / 2,
        kept_top=limit if at_most else 0.0,
        kept_height=round(HEIGHT - limit if at_most else limit, 1),
        x_ticks=x_ticks,
        y_ticks=_value_ticks(bottom, top, place, unit),
    )


def _span(result: ObjectiveResult, looks: Sequence[Look]) -> tuple[float, float]:
    """Return the ends of the value axis: limit, values and last interval, and other intervals as far as they fit.

    Unbounded ends do not count.
    """
    last = looks[-1]
    core = [result.limit, last.low, *(look.value for look in looks if not unbounded(look.value, result.unit))]
    core += [] if unbounded(last.high, result.unit) else [last.high]
    low, high = min(core), max(core)
    room = ROOM * ((high - low) or 0.1 * abs(high) or 1.0)
    bottom = max(min(look.low for look in looks), low - room)
    top = min(max(look.high for look in looks), high + room)
    bottom, top = min(bottom, low), max(top, high)
    margin = 0.08 * ((top - bottom) or 0.1 * abs(top) or 1.0)
    # Only a loss of quality can be negative (a gain).
    return (max(0.0, bottom - margin) if bottom >= 0 else bottom - margin), top + margin


def _time_axis(seconds: Sequence[float]) -> tuple[Callable[[float], float], tuple[tuple[float, str], ...]]:
    """Return the position of a time, and the ticks; logarithmic if the first look is far before the last one."""
    first, last = max(seconds[0], 1e-3), max(seconds[-1], 1e-3)
    if last <= WIDE_RANGE * first:
        right = last * 1.12
        step = nice(right / X_TICKS)
        times = [step * index for index in range(1, X_TICKS + 2) if step * index / right * WIDTH <= WIDTH - LABEL]

        def linear(time: float) -> float:
            return round(time / right * WIDTH, 1)

        return linear, ((0.0, "0"), *((linear(time), _seconds(time)) for time in times))
    start, end = math.log10(first * 0.4), math.log10(last * 1.4)

    def logarithmic(time: float) -> float:
        return round((math.log10(max(time, 1e-3)) - start) / (end - start) * WIDTH, 1)

    decades = range(math.floor(start), math.ceil(end) + 1)
    factors = (1,) if end - start > 3 else (1, 3) if end - start > 1.8 else (1, 2, 5)
    times = [factor * 10.0**decade for decade in decades for factor in factors]
    ticks = [(logarithmic(time), _seconds(time)) for time in times]
    return logarithmic, tuple((x, text) for x, text in ticks if 0.0 <= x <= WIDTH - LABEL)


def _seconds(time: float) -> str:
    """Return a round duration without trailing zeros."""
    if time >= 60:
        return f"{time:g} s" if time < 600 else f"{short_number(time / 60, 3)} min"
    return f"{time:g} s" if time >= 0.1 else f"{time * 1000:g} ms"


def _value_ticks(
    bottom: float, top: float, place: Callable[[float], float], unit: str
) -> tuple[tuple[float, str], ...]:
    step = nice((top - bottom) / Y_TICKS)
    first, last = math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9)
    values = [round(index * step, 12) for index in range(first, last + 1)]
    return tuple((place(value), "0" if value == 0 else wording.number(value, unit)) for value in values)


def _band(whiskers: Sequence[Whisker]) -> str:
    if len(whiskers) == 1:
        (one,) = whiskers
        left, right = round(one.x - ALONE, 1), round(one.x + ALONE, 1)
        return f"{_line([(left, one.top), (right, one.top), (right, one.bottom), (left, one.bottom)])} Z"
    upper = [(one.x, one.top) for one in whiskers]
    return f"{_line([*upper, *((one.x, one.bottom) for one in reversed(whiskers))])} Z"


def _line(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{'L' if index else 'M'}{x} {y}" for index, (x, y) in enumerate(points))
