"""The chart of goodput against the rate of requests, as data for the template's inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import PLOT_HEIGHT, PLOT_WIDTH, TICKS, nice
from compressionjob.estimate import UNBOUNDED_RATE
from compressionjob.report import ServedModel, ServedRate, ServingReport

RATE: Final = "requests per second"
WIDEST: Final = 1.5
"""The axis ends at most at this many times the largest highest rate: an overload must not hide the rest."""
APART: Final = 9.0
"""Distance of two points of both models at the same rate, in units of the viewBox."""


@dataclass(frozen=True)
class RatePoint:
    """Goodput at one rate; `top` and `bottom` are the ends of its interval, equal without one."""

    x: float
    y: float
    top: float
    bottom: float
    trial: bool
    title: str


@dataclass(frozen=True)
class RateSeries:
    """The points of one model, the line through those with intervals, and the span of its highest rate."""

    name: str
    points: tuple[RatePoint, ...]
    path: str
    left: float | None
    width: float


@dataclass(frozen=True)
class GoodputPlot:
    """Both models, on axes of the same length in requests a second; the diagonal is goodput equal to the rate."""

    series: tuple[RateSeries, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    beyond: int


def goodput_plot(serving: ServingReport) -> GoodputPlot | None:
    """Return the chart; None without a goodput."""
    models = {"baseline": serving.baseline, "compressed": serving.compressed}
    rates = {name: _rates(model) for name, model in models.items()}
    tried = [one for each in rates.values() for one in each]
    if not tried:
        return None
    right = _right(tried, list(models.values()))
    step = nice(right / TICKS)
    values = [step * index for index in range(TICKS + 3) if step * index <= right]
    series = tuple(_series(name, rates[name], models[name], right) for name in models)
    return GoodputPlot(
        series=_apart(series),
        x_ticks=tuple((_x(value, right), f"{value:g}") for value in values),
        y_ticks=tuple((_y(value, right), f"{value:g}") for value in values),
        beyond=sum(one.rate > right for one in tried),
    )


def _rates(model: ServedModel) -> list[ServedRate]:
    """Return the rates that were tried, or the one load."""
    if model.rates or model.goodput is None:
        return model.rates
    rate, goodput = model.requests_per_second, model.goodput
    return [ServedRate(rate=rate, goodput=goodput.value, interval=goodput)]


def _right(tried: Sequence[ServedRate], models: Sequence[ServedModel]) -> float:
    right = max(max(one.rate, one.goodput) for one in tried)
    highest = [model.max_rate for model in models if model.max_rate]
    known = [end for one in highest for end in (one.value, one.low, one.high) if 0.0 < end < UNBOUNDED_RATE]
    return 1.08 * (min(right, WIDEST * max(known)) if known else right)


def _series(name: str, tried: Sequence[ServedRate], model: ServedModel, right: float) -> RateSeries:
    points = tuple(_point(one, right) for one in tried if one.rate <= right)
    line = [(point.x, point.y) for point in points if not point.trial]
    path = " ".join(f"{'L' if index else 'M'}{x} {y}" for index, (x, y) in enumerate(line)) if len(line) > 1 else ""
    if model.max_rate is None:
        return RateSeries(name, points, path, None, 0.0)
    low, high = (_x(min(end, right), right) for end in (model.max_rate.low, model.max_rate.high))
    return RateSeries(name, points, path, low, round(max(high - low, 1.5), 1))


def _point(one: ServedRate, right: float) -> RatePoint:
    y = _y(one.goodput, right)
    top, bottom = (_y(one.interval.high, right), _y(one.interval.low, right)) if one.interval else (y, y)
    span = wording.span(one.interval, RATE)
    title = f"{wording.number(one.goodput, RATE)}{f' ({span})' if span else ''} at {wording.number(one.rate, RATE)}"
    return RatePoint(_x(one.rate, right), y, top, bottom, one.limits == "trial", title)


def _apart(series: tuple[RateSeries, ...]) -> tuple[RateSeries, ...]:
    """Return the series with points at the same rate side by side."""
    shared = set.intersection(*({point.x for point in one.points} for one in series))
    if not shared:
        return series
    shifts = (-APART / 2, APART / 2)
    return tuple(
        replace(
            one,
            points=tuple(
                replace(point, x=round(point.x + shift, 1)) if point.x in shared else point for point in one.points
            ),
        )
        for one, shift in zip(series, shifts, strict=True)
    )


def _x(rate: float, right: float) -> float:
    return round(rate / right * PLOT_WIDTH, 1)


def _y(rate: float, right: float) -> float:
    return round((1.0 - min(1.0, rate / right)) * PLOT_HEIGHT, 1)
