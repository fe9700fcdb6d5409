"""Measure the latency of two models in alternating blocks, so that both see the same state of the machine.

Both models are loaded in this process. A block is one LoadGen run of one model. The order of the two blocks of a pair
is random. Each block begins with warm-up queries, since the other model has just filled the caches and its threads may
still be spinning. The run ends at the first planned look at which the data decide.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from compression_runner.evaluation.machine.noise import Reading, noise_between, read_noise
from compression_runner.evaluation.observer import Observer
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES, Block, LatencyRun
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Scenario, SystemUnderTest
from compression_runner.evaluation.speed.sizing import MAX_QUERIES, NEARLY_ALL, Sizing, size_queue, size_run
from compression_runner.evaluation.statistics.alpha_spending import LOOKS
from compression_runner.evaluation.statistics.order_statistics import queries_needed

FIRST_WARM_UP_QUERIES: Final = 15
FIRST_WARM_UP_SECONDS: Final = 20.0
"""A model is warm after this many queries or seconds, whichever comes first, but not before three queries."""
USUAL: Final = "p90"
"""The percentile that sizes a run without a limit."""
LATENCY_SHARE: Final = 0.7
"""Share of the time limit for latency; the rest is for throughput."""

Decided = Callable[[LatencyRun], bool]
"""Takes the run at a look; returns whether it may end."""


@dataclass(frozen=True)
class LatencyPlan:
    """The parameters of a run: `decisive` is the percentile that the SLA limits, None without a limit.

    `confidence` is that of the intervals at each of at most `looks` looks. The order of blocks, the samples and the
    arrivals depend on `seed`.
    """

    confidence: float
    decisive: str | None
    seconds: float
    scenario: Scenario = SINGLE_STREAM
    looks: int = LOOKS
    seed: int = 0


def measure_latency(
    baseline: SystemUnderTest,
    compressed: SystemUnderTest,
    plan: LatencyPlan,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    look: Callable[[], Reading] = read_noise,
    observer: Observer | None = None,
    decided: Decided | None = None,
) -> LatencyRun:
    """Return the latencies of queries in interleaved blocks, in the plan's scenario.

    The run ends at the first look at which `decided` returns true (the first look by default), or at the time limit,
    which adds a note. The first look has as many queries as the percentile needs at this confidence, or fewer if there
    is not enough time.
    """
    start = clock()
    sides = (baseline, compressed)
    services = [_warm_up(side, plan.scenario, clock) for side in sides]
    sizing = _size(plan, services[0], services[1])
    run = LatencyRun(scenario=plan.scenario, settling=sizing.warm_up)
    generator, first_seed = np.random.default_rng(plan.seed), 1 + 2 * MAX_QUERIES * plan.seed
    while True:
        done = len(run.pairs)
        late = done >= 2 and clock() - start > plan.seconds
        if (done in sizing.looks or late) and _ends(run, decided, late=late or done >= sizing.looks[-1]):
            break
        run.pairs.append(_pair(sides, plan.scenario, sizing, generator, first_seed + done, look, observer))
        if advance:
            advance((done + 1) / (done + 1 + sizing.looks[0]))
    if advance:
        advance(1.0)
    _note_missing_bounds(run, plan)
    return run


def _ends(run: LatencyRun, decided: Decided | None, *, late: bool) -> bool:
    """Return whether the run ends at this look; it always ends when its time is up (`late`)."""
    if decided is None or decided(run):
        return True
    if late:
        end = "its largest number of queries" if run.queries >= NEARLY_ALL * MAX_QUERIES else "the time limit"
        run.notes.append(f"{end} ended the benchmark after {run.queries} queries a side")
    return late


def _pair(
    sides: tuple[SystemUnderTest, SystemUnderTest],
    scenario: Scenario,
    sizing: Sizing,
    generator: np.random.Generator,
    seed: int,
    look: Callable[[], Reading],
    observer: Observer | None,
) -> tuple[Block, Block]:
    blocks: dict[int, Block] = {}
    for index in generator.permutation(2):
        blocks[index] = _block(sides[index], scenario, sizing, seed, look)
        if observer:
            observer.latencies(MODELS[index], blocks[index].queries.latency)
    return blocks[0], blocks[1]


def _size(plan: LatencyPlan, before: float, after: float) -> Sizing:
    quantile = QUANTILES[plan.decisive or USUAL]
    if plan.scenario.queues:
        rate = plan.scenario.rate
        return size_queue(rate, (before, after), plan.seconds, quantile, plan.confidence, plan.looks)
    return size_run(before + after, plan.seconds, plan.confidence, quantile, plan.looks)


def _warm_up(side: SystemUnderTest, scenario: Scenario, clock: Callable[[], float]) -> float:
    """Answer warm-up queries, and return the median seconds of a query."""
    durations = []
    for query in range(FIRST_WARM_UP_QUERIES):
        before = clock()
        scenario.answer(side, query)
        durations.append(clock() - before)
        if query >= 2 and sum(durations) > FIRST_WARM_UP_SECONDS:
            break
    return float(np.median(durations))


def _block(side: SystemUnderTest, scenario: Scenario, sizing: Sizing, seed: int, look: Callable[[], Reading]) -> Block:
    before = look()
    if scenario.queues:
        queries = scenario.run(side, sizing.warm_up + sizing.queries, seed).after(sizing.warm_up)
    else:
        for query in range(sizing.warm_up):
            scenario.answer(side, query)
        queries = scenario.run(side, sizing.queries, seed)
    noise = noise_between(before, look())
    # Threads that the cgroup's limit throttles count as waiting too; this also happens when the model serves.
    return Block(queries.as_slow_as_they_were() if noise.throttled_periods else queries, noise)


def _note_missing_bounds(run: LatencyRun, plan: LatencyPlan) -> None:
    decisive = {name: QUANTILES[name] for name in QUANTILES if name == plan.decisive}
    for side, title in enumerate(MODELS):
        for name, quantile in decisive.items():
            if not run.bounded(side, name, plan.confidence):
                worth = run.worth(side, name, plan.confidence)
                need = queries_needed(quantile, plan.confidence, discard=0)
                why = "that wait for each other" if run.scenario.queues else "on this noisy machine"
                less = f", worth {worth} independent ones {why}" if worth < run.queries else ""
                run.notes.append(
                    f"the {title}'s {name} has no upper bound: {run.queries} queries{less}; it needs {need}"
                )
        if run.scenario.queues and (reason := run.percentile(side, "p50", plan.confidence).reason):
            run.notes.append(f"{title}: {reason}")
