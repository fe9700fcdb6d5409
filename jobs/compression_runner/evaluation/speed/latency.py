"""The latency of two models in turn on one machine, so that both meet the same moments of it.

Both models are loaded in this process. A block is one LoadGen run of one model; baseline and compressed blocks
alternate, which one goes first being drawn, and each block begins with queries that do not count, since the other
model has just filled the caches and its threads may still be spinning. A pair of blocks during which others took time
from this process is asked again, as long as there is time; what decides that are the kernel's counters, never the
latencies themselves.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from compression_runner.evaluation.machine.noise import Reading, noise_between, read_noise
from compression_runner.evaluation.observer import Observer
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES, Block, LatencyRun
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Contender, Scenario
from compression_runner.evaluation.speed.sizing import MIN_PAIRS, Sizing, size_queue, size_run
from compression_runner.evaluation.statistics.order_statistics import queries_needed

FIRST_WARM_UP_QUERIES: Final = 15
FIRST_WARM_UP_SECONDS: Final = 20.0
MOST_EXTENSION: Final = 2.0
"""On a noisy machine up to this many times the planned queries are asked."""
LATENCY_SHARE: Final = 0.7
"""Share of the time limit for latency; the rest is for throughput."""


@dataclass(frozen=True)
class LatencyPlan:
    """How the run is sized: `decisive` is the percentile that an SLA is about, None where there is no limit."""

    confidence: float
    decisive: str | None
    seconds: float
    scenario: Scenario = SINGLE_STREAM


def measure_latency(
    baseline: Contender,
    compressed: Contender,
    plan: LatencyPlan,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    look: Callable[[], Reading] = read_noise,
    observer: Observer | None = None,
) -> LatencyRun:
    """Return the latencies of queries in interleaved blocks, in the plan's scenario.

    As many queries as the percentile at this confidence needs, more of a quick model; fewer where the time would not
    do, and then a note says so. While noise disturbs blocks, or leaves the decisive percentile without an upper bound,
    blocks are added.
    """
    start = clock()
    sides = (baseline, compressed)
    services = [_warm_up(side, plan.scenario, clock) for side in sides]
    sizing = _size(plan, services[0], services[1])
    run = LatencyRun(scenario=plan.scenario, settling=sizing.warm_up, planned_queries=sizing.pairs * sizing.queries)
    most = math.ceil(sizing.pairs * MOST_EXTENSION)
    generator = np.random.default_rng(0)
    while len(run.pairs) < most and not _enough(replace(run, pairs=run.quiet_pairs()), sizing.pairs, plan):
        done = len(run.pairs)
        if done >= 2 and clock() - start > plan.seconds:
            run.notes.append(f"the time limit ended the benchmark after {done * sizing.queries} queries a side")
            break
        blocks: dict[int, Block] = {}
        for index in generator.permutation(2):
            blocks[index] = _block(sides[index], plan.scenario, sizing, done + 1, look)
            if observer:
                observer.latencies(MODELS[index], blocks[index].queries.latency)
        run.pairs.append((blocks[0], blocks[1]))
        if advance:
            advance(min(1.0, (done + 1) / sizing.pairs))
    _leave_out_disturbed(run, sizing.pairs, plan)
    _note_missing_bounds(run, plan)
    return run


def _size(plan: LatencyPlan, before: float, after: float) -> Sizing:
    if plan.scenario.queues:
        quantile = QUANTILES[plan.decisive or "p99"]
        return size_queue(plan.scenario.rate, (before, after), plan.seconds, quantile, plan.confidence)
    return size_run(before + after, plan.seconds, plan.confidence)


def _warm_up(side: Contender, scenario: Scenario, clock: Callable[[], float]) -> float:
    """Answer until the model runs as it will, and return the median seconds of a query."""
    durations = []
    for query in range(FIRST_WARM_UP_QUERIES):
        before = clock()
        scenario.answer(side, query)
        durations.append(clock() - before)
        if sum(durations) > FIRST_WARM_UP_SECONDS and query >= 2:
            break
    return float(np.median(durations))


def _block(side: Contender, scenario: Scenario, sizing: Sizing, seed: int, look: Callable[[], Reading]) -> Block:
    before = look()
    if scenario.queues:
        found = scenario.run(side, sizing.warm_up + sizing.queries, seed).after(sizing.warm_up)
    else:
        for query in range(sizing.warm_up):
            scenario.answer(side, query)
        found = scenario.run(side, sizing.queries, seed)
    return Block(found, noise_between(before, look()))


def _enough(run: LatencyRun, pairs: int, plan: LatencyPlan) -> bool:
    """Return whether there are as many pairs as were planned, and the decisive percentile has an upper bound."""
    if len(run.pairs) < pairs:
        return False
    return plan.decisive is None or run.bounded(1, plan.decisive, plan.confidence)


def _leave_out_disturbed(run: LatencyRun, planned: int, plan: LatencyPlan) -> None:
    """Keep the quiet pairs if they suffice; else all, and say that they are disturbed."""
    quiet = run.quiet_pairs()
    disturbed = len(run.pairs) - len(quiet)
    if not disturbed:
        return
    if _enough(replace(run, pairs=quiet), min(planned, MIN_PAIRS), plan):
        run.notes.append(f"{disturbed} of {len(run.pairs)} pairs of blocks were disturbed, and do not count")
        run.pairs = quiet
        return
    run.disturbed = True
    run.notes.append(f"{disturbed} of {len(run.pairs)} pairs of blocks were disturbed; too few are left without them")


def _note_missing_bounds(run: LatencyRun, plan: LatencyPlan) -> None:
    for side, title in enumerate(MODELS):
        asked = sum(len(block) for block in run.latencies(side))
        for name, quantile in QUANTILES.items():
            if not run.bounded(side, name, plan.confidence):
                worth = run.worth(side, name, plan.confidence)
                need = queries_needed(quantile, plan.confidence, discard=0)
                why = "that wait for each other" if run.scenario.queues else "on this noisy machine"
                less = f", worth {worth} independent ones {why}" if worth < asked else ""
                run.notes.append(f"the {title}'s {name} has no upper bound: {asked} queries{less}; it needs {need}")
        found = run.percentile(side, "p50", plan.confidence)
        if found.reason:
            run.notes.append(f"{title}: {found.reason}")
