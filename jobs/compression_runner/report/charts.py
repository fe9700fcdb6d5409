"""The charts of the report, as data for the template's inline SVG. Units are those of the viewBox."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from compression_runner.report.wording import duration
from compressionjob.estimate import Estimate, unbounded
from compressionjob.verdict import ObjectiveResult

TRACK: Final = 300.0
"""Width of an objective's chart."""
PLOT_WIDTH: Final = 460.0
PLOT_HEIGHT: Final = 210.0
LABEL_WIDTH: Final = 30.0
CURVE_POINTS: Final = 240
TICKS: Final = 5
LONGEST_TAIL: Final = 3.0


@dataclass(frozen=True)
class Track:
    """An interval and its limit on one line; `allowed_start` and `allowed_width` are the span that keeps the limit."""

    limit: float
    allowed_start: float
    allowed_width: float
    value: float | None
    low: float
    width: float
    open_ended: bool


@dataclass(frozen=True)
class Curve:
    """The share of queries answered within a time, and the marks of its percentiles."""

    name: str
    path: str
    marks: tuple[tuple[float, float, str], ...]
    beyond: int


@dataclass(frozen=True)
class Distribution:
    """Latency curves on one axis; `ticks` are (x, text)."""

    curves: tuple[Curve, ...]
    ticks: tuple[tuple[float, str], ...]
    limit: float | None


def track(result: ObjectiveResult) -> Track:
    """Return an objective's interval and its limit, scaled so that both are visible."""
    low = result.limit if result.low is None else result.low
    high = result.limit if result.high is None else result.high
    open_ended = unbounded(high, result.unit)
    known = [value for value in (result.limit, result.measured, low) if value is not None]
    top = max([*known, *([] if open_ended else [high])])
    # Ratios and speed-ups begin at 0; values far from 0 are shown around their limit.
    bottom = min(known) if min(known) < 0 else 0.0
    if bottom == 0.0 and min(known) > 0.6 * top:
        bottom = min(known) - (top - min(known)) * 0.5 - 0.02 * top
    span = (top - bottom) * 1.15 or 1.0

    def place(value: float) -> float:
        return round(min(TRACK, max(0.0, (value - bottom) / span * TRACK)), 1)

    limit = place(result.limit)
    start, end = (0.0, limit) if result.direction == "at most" else (limit, TRACK)
    right = TRACK if open_ended else place(high)
    return Track(
        limit=limit,
        allowed_start=start,
        allowed_width=round(end - start, 1),
        value=None if result.measured is None else place(result.measured),
        low=place(low),
        width=round(max(right - place(low), 0.0), 1),
        open_ended=open_ended,
    )


@dataclass(frozen=True)
class IntervalMark:
    """A figure with its interval on one line."""

    value: float
    low: float
    width: float


@dataclass(frozen=True)
class Scale:
    """A common axis for several figures, and the numbers at its ends."""

    bottom: float
    top: float

    def mark(self, estimate: Estimate) -> IntervalMark:
        """Return the position of a figure and its interval."""
        low, high = self._place(estimate.low), self._place(estimate.high)
        return IntervalMark(self._place(estimate.value), low, round(max(high - low, 1.5), 1))

    def _place(self, value: float) -> float:
        span = (self.top - self.bottom) or 1.0
        return round(min(TRACK, max(0.0, (value - self.bottom) / span * TRACK)), 1)


def scale_of(estimates: Sequence[Estimate]) -> Scale:
    """Return an axis that contains all intervals; shares end at 0 and 1."""
    bottom, top = min(one.low for one in estimates), max(one.high for one in estimates)
    margin = 0.04 * (top - bottom)
    return Scale(
        max(0.0, bottom - margin) if bottom >= 0 else bottom - margin,
        min(1.0, top + margin) if top <= 1 else top + margin,
    )


def distribution(
    samples: Sequence[tuple[str, Sequence[float]]],
    percentiles: dict[str, dict[str, float]],
    limit: float | None,
) -> Distribution | None:
    """Return the cumulative curves of latencies in seconds by model; None without samples.

    The axis ends a little above the largest p99, or at three times the p90 if that is less: a few slow queries must not
    hide the rest.
    """
    arrays = [(name, np.sort(np.asarray(values, dtype=np.float64))) for name, values in samples if len(values)]
    if not arrays:
        return None
    right = max(_end(values) for _, values in arrays) * 1.15
    if limit is not None and limit < right * 2:
        right = max(right, limit * 1.08)
    step = nice(right / TICKS)
    ticks = [(round(step * index / right * PLOT_WIDTH, 1), _tick(step * index)) for index in range(1, TICKS + 3)]
    return Distribution(
        curves=_without_collisions([_curve(name, values, percentiles.get(name, {}), right) for name, values in arrays]),
        ticks=((0.0, "0"), *((x, text) for x, text in ticks if x <= PLOT_WIDTH)),
        limit=round(limit / right * PLOT_WIDTH, 1) if limit is not None and limit <= right else None,
    )


def _end(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    p90, p99 = (values[math.ceil(len(values) * share) - 1] for share in (0.90, 0.99))
    return max(float(min(p99, LONGEST_TAIL * p90)), float(np.median(values)) * 1.2)


def _curve(
    name: str, values: "np.ndarray[tuple[int], np.dtype[np.float64]]", marks: dict[str, float], right: float
) -> Curve:
    shares = np.unique(np.concatenate([np.linspace(0, 1, CURVE_POINTS), np.linspace(0.95, 1, 40)]))
    ranks = np.clip(np.ceil(shares * len(values)).astype(int) - 1, 0, len(values) - 1)
    points = [(0.0, 0.0), (float(values[0]), 0.0)]
    points += [(float(values[rank]), float(share)) for rank, share in zip(ranks, shares, strict=True)]
    inside = [(time, share) for time, share in points if time <= right]
    inside.append((right, inside[-1][1]))
    path = " ".join(f"{'L' if i else 'M'}{_x(time, right)} {_y(share)}" for i, (time, share) in enumerate(inside))
    placed = tuple((_x(time, right), _y(int(mark[1:]) / 100), mark) for mark, time in marks.items() if time <= right)
    return Curve(name=name, path=path, marks=placed, beyond=int(np.count_nonzero(values > right)))


def _without_collisions(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Return the curves without labels that would overlap the same label of an earlier curve."""
    written: list[tuple[float, str]] = []
    placed: list[Curve] = []
    for curve in curves:
        marks: list[tuple[float, float, str]] = []
        for x, y, name in curve.marks:
            taken = any(abs(x - other) < LABEL_WIDTH and name == label for other, label in written)
            marks.append((x, y, "" if taken else name))
            written.append((x, name))
        placed.append(replace(curve, marks=tuple(marks)))
    return tuple(placed)


def _tick(seconds: float) -> str:
    """Return a round duration without trailing zeros."""
    figure, unit = duration(seconds).split(" ")
    return f"{float(figure.replace(',', '')):g} {unit}"


def _x(seconds: float, right: float) -> float:
    return round(seconds / right * PLOT_WIDTH, 1)


def _y(share: float) -> float:
    return round((1.0 - share) * PLOT_HEIGHT, 1)


def nice(step: float) -> float:
    """Round `step` up to 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)
