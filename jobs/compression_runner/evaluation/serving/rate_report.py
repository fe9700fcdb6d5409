"""Convert tests at several rates to the estimates that the objectives are judged by, and to the report's part."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from compression_runner.evaluation.serving.judged import kept_in, load_fields, served_model
from compression_runner.evaluation.serving.rate_run import Outcome, RateRun, RateTest
from compression_runner.evaluation.serving.serving_run import length_ratio
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from compressionjob.report import ServedModel, ServedRate, ServingReport
from compressionjob.serving import GOODPUT, LONGER, SHORTER, Serving

SAID: Final[dict[Outcome, Any]] = {"holds": "hold", "breaks": "break", "open": "open"}


def rate_estimates(limits: Sla, run: RateRun) -> dict[str, Estimate | None]:
    """Return the estimate for each limit; None where it cannot be computed."""
    latencies = run.latencies()
    estimates: dict[str, Estimate | None] = {name: latencies.get(name) for name in limits.served_latencies()}
    if limits.goodput:
        estimates |= {GOODPUT: run.max_rate(1), f"{GOODPUT}.ratio": run.ratio()}
    if limits.output_length:
        estimates[SHORTER] = estimates[LONGER] = _length_ratio(run)
    return estimates


def rate_report(
    limits: Sla, serving: Serving, run: RateRun, conditions: dict[str, Any], starts: Sequence[float]
) -> ServingReport:
    """Return the report's part: latencies are those at the highest rate that holds."""
    baseline, compressed = (_model(limits, run, side, starts[side]) for side in (0, 1))
    return ServingReport(
        **conditions,
        **load_fields(serving),
        requests=run.requests,
        blocks=sum(len(test.blocks) for test in run.tests) // 2,
        baseline=baseline,
        compressed=compressed,
        max_rate_ratio=run.ratio(),
        length_ratio=None if serving.output_tokens else _length_ratio(run),
        noise=run.noise.to_report() if run.noise else None,
    )


def _model(limits: Sla, run: RateRun, side: int, start: float) -> ServedModel:
    tried = [_rate(limits, run, test, trial=trial) for trial, test in _tried(run, side)]
    fields: dict[str, Any] = {
        "max_rate": run.max_rate(side),
        "rates": sorted(tried, key=lambda one: (one.rate, one.limits)),
    }
    shown = run.shown(side)
    if shown is None or len(shown.blocks) < 2:
        return ServedModel(start_seconds=round(start, 3), **fields)
    model = shown.model(run.alone[side])
    served = served_model(model, kept_in(limits, shown.blocks), run.confidence, start)
    return served.model_copy(update=fields)


def _tried(run: RateRun, side: int) -> list[tuple[bool, RateTest]]:
    trials = [(True, test) for test in run.trials if test.side == side]
    return trials + [(len(test.blocks) < 2, test) for test in run.of(side) if test.blocks]


def _rate(limits: Sla, run: RateRun, test: RateTest, *, trial: bool) -> ServedRate:
    keeps = kept_in(limits, test.blocks)
    share = float(np.concatenate(keeps).mean())
    interval = None if trial else test.model(run.alone[test.side]).goodput(keeps, run.confidence)
    return ServedRate(
        rate=round(test.rate, 6),
        requests=test.requests,
        goodput=round(interval.value if interval else test.rate * share, 6),
        interval=interval,
        limits="trial" if trial else SAID[test.outcome],
    )


def _length_ratio(run: RateRun) -> Estimate | None:
    blocks = [[block for test in run.of(side) for block in test.blocks] for side in (0, 1)]
    return length_ratio(blocks[0], blocks[1], run.confidence) if all(blocks) else None
