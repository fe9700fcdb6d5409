"""Convert served requests to the estimates that the objectives are judged by, and to the report's part."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.serving.latency_limits import latency_bounds
from compression_runner.evaluation.serving.model_run import ModelRun
from compression_runner.evaluation.serving.served_block import ServedBlock
from compression_runner.evaluation.serving.serving_run import ServingRun
from compression_runner.evaluation.speed.latency_run import QUANTILES
from compression_runner.evaluation.statistics.order_statistics import percentile
from compressionjob.estimate import UNBOUNDED_SECONDS, Estimate
from compressionjob.objectives import Sla
from compressionjob.report import ServedFigure, ServedModel, ServingReport
from compressionjob.serving import GOODPUT, LATENCIES, LONGER, SHORTER, Serving

SAMPLES: Final = 1000
FAILURES: Final = 8


def serving_estimates(limits: Sla, run: ServingRun, confidence: float) -> dict[str, Estimate | None]:
    """Return the estimate for each limit on served requests; None where it cannot be computed."""
    estimates: dict[str, Estimate | None] = {}
    for name, limit in limits.served_latencies().items():
        estimates[name] = run.latency(1, name, limit.percentile, confidence)
        if limit.max_ratio is not None:
            estimates[f"{name}.ratio"] = run.ratio(name, limit.percentile, confidence)
    if limits.goodput:
        keeps = kept(limits, run)
        estimates[GOODPUT] = run.goodput(1, keeps, confidence)
        if limits.goodput.min_ratio is not None:
            estimates[f"{GOODPUT}.ratio"] = run.goodput_ratio(keeps, confidence)
    if limits.output_length:
        estimates[SHORTER] = estimates[LONGER] = run.length_ratio(confidence)
    return estimates


def kept(limits: Sla, run: ServingRun) -> list[list[NDArray[np.bool_]]]:
    """Return whether each request keeps every latency limit (max), by side and block."""
    return [kept_in(limits, run.blocks(side)) for side in (0, 1)]


def kept_in(limits: Sla, blocks: Sequence[ServedBlock]) -> list[NDArray[np.bool_]]:
    """Return whether each request keeps every latency limit (max), by block."""
    return [_kept_in(limits, block) for block in blocks]


def _kept_in(limits: Sla, block: ServedBlock) -> NDArray[np.bool_]:
    keeps = ~block.failed
    for bound in latency_bounds(limits):
        # A request keeps a limit on gaps if it does at the limit's percentile of its own gaps.
        values = [percentile(each, bound.quantile) if len(each) else 0.0 for each in block.by_request(bound.name)]
        keeps &= np.array(values) <= bound.seconds
    return keeps


def judged_quantile(limits: Sla) -> float:
    """Return the largest judged percentile; p90 without a limit on latency."""
    return max((QUANTILES[limit.percentile] for limit in limits.served_latencies().values()), default=QUANTILES["p90"])


def longest_limit(limits: Sla) -> float:
    """Return the largest limit on a latency, in seconds; 0 without one."""
    return max((bound.seconds for bound in latency_bounds(limits)), default=0.0)


def serving_report(
    limits: Sla,
    serving: Serving,
    run: ServingRun,
    confidence: float,
    conditions: dict[str, Any],
    starts: Sequence[float],
) -> ServingReport:
    """Return the report's part; `conditions` are fields of the engine, and `starts` the seconds of both starts."""
    noise = run.noise
    keeps = kept(limits, run) if any(latency_bounds(limits)) else None
    baseline, compressed = (
        served_model(run.model(side), keeps[side] if keeps else None, confidence, starts[side]) for side in (0, 1)
    )
    ratios = {
        name: {one: ratio for one in QUANTILES if (ratio := run.ratio(name, one, confidence))}
        for name in LATENCIES
        if all(len(run.seconds(side, name)) for side in (0, 1))
    }
    return ServingReport(
        **conditions,
        **load_fields(serving),
        requests=run.requests,
        blocks=len(run.pairs),
        baseline=baseline,
        compressed=compressed,
        ratios={name: each for name, each in ratios.items() if each},
        length_ratio=None if serving.output_tokens else run.length_ratio(confidence),
        noise=noise.to_report() if noise else None,
    )


def load_fields(serving: Serving) -> dict[str, Any]:
    """Return the fields of the report's part that describe the load."""
    return {
        "request_rate": serving.request_rate,
        "concurrency": serving.concurrency,
        "find_max_rate": serving.find_max_rate,
        "prompt_tokens": serving.prompt_tokens,
        "longest_answer": serving.longest_answer,
        "exact_answers": serving.output_tokens is not None,
    }


def served_model(
    run: ModelRun, keeps: Sequence[NDArray[np.bool_]] | None, confidence: float, start: float
) -> ServedModel:
    """Return the report's part of one model under one load; `start` is the seconds until its server was ready."""
    answers = [answer for block in run.blocks for answer in block.answers]
    causes = Counter(answer.error for answer in answers if answer.error)
    rate = float(np.mean([block.loaded.rate for block in run.blocks]))
    tokens = float(np.mean([len(answer.tokens) for answer in answers]))
    return ServedModel(
        latencies={
            name: ServedFigure(
                percentiles={one: run.latency(name, one, confidence) for one in QUANTILES},
                samples=_spread(run.seconds(name)),
            )
            for name in LATENCIES
            if len(run.seconds(name))
        },
        goodput=run.goodput(keeps, confidence) if keeps else None,
        requests_per_second=round(rate, 6),
        tokens_per_second=round(rate * tokens, 6),
        output_tokens=round(tokens, 3),
        energy_joules_per_token=run.energy(confidence),
        in_flight=round(float(np.mean([block.loaded.in_flight for block in run.blocks])), 3),
        failed=run.failed,
        failures=[f"{cause} ({count} times)" for cause, count in causes.most_common(FAILURES)],
        start_seconds=round(start, 3),
    )


def _spread(values: NDArray[np.float64]) -> list[float]:
    """Return at most SAMPLES values, evenly spread over the ordered ones, without unbounded ones."""
    ordered = np.sort(values[values < UNBOUNDED_SECONDS])
    if len(ordered) > SAMPLES:
        ordered = ordered[np.linspace(0, len(ordered) - 1, SAMPLES).round().astype(int)]
    return [round(float(value), 7) for value in ordered]
