"""The part of a report on served requests: the load, distributions, percentiles and totals."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import Distribution, distribution
from compression_runner.report.goodput_plot import RATE, GoodputPlot, goodput_plot
from compressionjob.estimate import Estimate
from compressionjob.report import EngineCheck, Report, ServedModel, ServingReport
from compressionjob.serving import LATENCIES

TITLES: Final = {
    "ttft": "Time to first token",
    "interToken": "Gap between tokens",
    "timePerOutputToken": "Time per output token",
    "endToEnd": "Time to last token",
}
TOKENS: Final = "tokens per second"
SHOWN: Final = ("ttft", "interToken")
"""Latencies whose distributions are drawn."""


@dataclass(frozen=True)
class ServedPlot:
    """The distribution of one latency of both models; `missing` says how many failed."""

    title: str
    counted: str
    distribution: Distribution
    missing: str


@dataclass(frozen=True)
class ServedRow:
    """One percentile of one latency of both models."""

    name: str
    baseline: str
    baseline_span: str
    compressed: str
    compressed_span: str
    ratio: str
    ratio_span: str


@dataclass(frozen=True)
class TriedRow:
    """One tested rate of one model."""

    model: str
    rate: str
    requests: str
    goodput: str
    span: str
    limits: str


@dataclass(frozen=True)
class ServingView:
    """Served requests, as shown."""

    said: str
    goodput: GoodputPlot | None
    goodput_said: str
    rates: tuple[TriedRow, ...]
    plots: tuple[ServedPlot, ...]
    rows: tuple[ServedRow, ...]
    totals: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def serving_view(report: Report) -> ServingView | None:
    """Return the view of a report with a serving engine; None without one."""
    serving = report.serving
    if serving is None:
        return None
    limits = {result.name: result.limit for result in report.objectives}
    plots = tuple(plot for name in SHOWN if (plot := _plot(serving, name, limits.get(name))))
    rates = tuple(_tried(serving))
    drawn = goodput_plot(serving)
    return ServingView(
        _said(serving),
        drawn,
        _goodput_said(serving),
        rates,
        plots,
        tuple(_rows(serving)),
        tuple(_totals(serving)),
        _notes(serving),
    )


def _said(serving: ServingReport) -> str:
    if serving.find_max_rate:
        load = "requests that arrive at random, at rates that were searched"
    elif serving.concurrency:
        load = f"{serving.concurrency} requests at a time"
    else:
        load = f"requests that arrive at random, {serving.request_rate or 0.0:g} a second"
    length = f"{'' if serving.exact_answers else 'up to '}{serving.longest_answer} tokens"
    order = "Both servers ran at once" if serving.resident else "One server ran at a time"
    pairs = (
        "Latencies are those at the highest rate of each model at which all limits hold with confidence."
        if serving.find_max_rate
        else "Both blocks of a pair have the same prompts and the same arrivals."
    )
    return (
        f"Measured in {serving.engine} ({serving.device}) with {load}. Prompts have {serving.prompt_tokens} tokens and "
        f"answers {length}. {order}, in {serving.blocks} alternating blocks each, with {serving.requests:,} measured "
        f"requests to each model. {pairs}"
    )


def _goodput_said(serving: ServingReport) -> str:
    kept = "Requests a second that keep every latency limit, against the requests that arrive in a second."
    if not serving.find_max_rate:
        return f"{kept} Bars are intervals."
    return (
        f"{kept} Vertical bars are intervals of tests, and small circles are trials, which only chose rates. "
        "Horizontal bars are the intervals of the highest rate at which the limits hold."
    )


def _tried(serving: ServingReport) -> Iterator[TriedRow]:
    """Yield the tests of both models, without trials."""
    for side, model in _sides(serving):
        for one in model.rates:
            if one.limits != "trial":
                rate, goodput = wording.number(one.rate, RATE), wording.number(one.goodput, RATE)
                yield TriedRow(side, rate, f"{one.requests:,}", goodput, wording.span(one.interval, RATE), one.limits)


def _plot(serving: ServingReport, name: str, limit: float | None) -> ServedPlot | None:
    sides = {"baseline": serving.baseline.latencies.get(name), "compressed": serving.compressed.latencies.get(name)}
    figures = {side: figure for side, figure in sides.items() if figure}
    marks = {side: {one: each.value for one, each in figure.percentiles.items()} for side, figure in figures.items()}
    drawn = distribution([(side, figure.samples) for side, figure in figures.items()], marks, limit)
    if drawn is None:
        return None
    failed = [f"{model.failed:,} of the {side}'s requests failed." for side, model in _sides(serving) if model.failed]
    counted = "gaps between tokens" if name == "interToken" else "requests"
    return ServedPlot(TITLES[name], counted, drawn, "".join(f" {text}" for text in failed))


def _sides(serving: ServingReport) -> tuple[tuple[str, ServedModel], ...]:
    return ("baseline", serving.baseline), ("compressed", serving.compressed)


def _rows(serving: ServingReport) -> Iterator[ServedRow]:
    for name in LATENCIES:
        before, after = (model.latencies.get(name) for _, model in _sides(serving))
        for one, new in after.percentiles.items() if after else ():
            old = before.percentiles.get(one) if before else None
            ratio = serving.ratios.get(name, {}).get(one)
            yield ServedRow(
                f"{TITLES[name]}, {one}",
                *_cell(old),
                *_cell(new),
                wording.number(ratio.value, "ratio") if ratio else "",
                wording.span(ratio, "ratio"),
            )


def _cell(estimate: Estimate | None) -> tuple[str, str]:
    return ("", "") if estimate is None else (wording.duration(estimate.value), wording.span(estimate, "seconds"))


def _totals(serving: ServingReport) -> Iterator[tuple[str, str, str]]:
    sides = serving.baseline, serving.compressed

    def both(title: str, write: Callable[[ServedModel], str]) -> tuple[str, str, str]:
        return title, write(sides[0]), write(sides[1])

    if all(side.max_rate for side in sides):
        yield both("Highest rate within the limits", lambda side: _max_rate(side.max_rate))
    if all(side.goodput for side in sides):
        yield both("Goodput", lambda side: wording.number(side.goodput.value if side.goodput else 0.0, RATE))
    yield both("Requests a second", lambda side: wording.number(side.requests_per_second, RATE))
    yield both("Tokens a second", lambda side: wording.number(side.tokens_per_second, TOKENS))
    if serving.compressed.energy_joules_per_token:
        yield both("Energy of a token", lambda side: _energy(side.energy_joules_per_token))
    yield both("Requests at a time", lambda side: wording.significant(side.in_flight))
    yield both("Tokens of an answer", lambda side: wording.significant(side.output_tokens))
    yield both("Failed requests", lambda side: f"{side.failed:,}")
    yield both("Start of the server", lambda side: wording.duration(side.start_seconds))


def _max_rate(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{wording.number(estimate.value, RATE)} ({wording.span(estimate, RATE)})"


def _energy(estimate: Estimate | None) -> str:
    return wording.energy(estimate.value) if estimate else ""


def _notes(serving: ServingReport) -> tuple[str, ...]:
    checked = (_checked(serving.engine, serving.check),) if serving.check else ()
    failures = (
        f"Failures of the {side}: {'; '.join(model.failures)}." for side, model in _sides(serving) if model.failures
    )
    return (*checked, *failures)


def _checked(engine: str, check: EngineCheck) -> str:
    """Say that the engine loaded the judged model: a report exists only if it did."""
    loaded = f"{engine} loaded the model whose quality is reported"
    scales = f", with all {check.scales:,} quantization scales" if check.scales else ""
    used = f" Other values of {' and of '.join(item.name for item in check.changed)} change its answers."
    return (
        f"{loaded}{scales}. On {check.places:,} tokens of the evaluation data, the loss of a token differs by "
        f"{wording.significant(check.difference)} nats on average, and the most probable token is the same for "
        f"{wording.per_cent(check.same)}.{used if check.changed else ''}"
    )
