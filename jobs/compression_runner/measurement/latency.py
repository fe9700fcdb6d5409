"""Latency and throughput of two models in turn on one machine, so that both meet the same moments of it.

Both models are loaded in this process. A block is one LoadGen run of one model; baseline and compressed blocks
alternate, which one goes first being drawn, and each block begins with queries that do not count, since the other
model has just filled the caches and its threads may still be spinning.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.measurement import loadgen
from compression_runner.measurement.block_bootstrap import mean_interval, speedup_interval
from compression_runner.measurement.observer import Observer
from compression_runner.measurement.order_statistics import (
    effective_count,
    percentile_interval,
    queries_needed,
    rank_bounds,
)
from compression_runner.measurement.sizing import Sizing, size_run
from compressionjob.estimate import Estimate

MODELS: Final = ("baseline", "compressed")
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p99": 0.99}

FIRST_WARM_UP_QUERIES: Final = 15
FIRST_WARM_UP_SECONDS: Final = 20.0
MOST_EXTENSION: Final = 2.0
"""On a noisy machine up to this many times the planned queries are asked."""
LATENCY_SHARE: Final = 0.7
"""Share of the time limit for latency; the rest is for throughput."""

THROUGHPUT_PAIRS: Final = 6
THROUGHPUT_BLOCK_SECONDS: Final = 0.5

Blocks = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Contender:
    """A model that is measured: answers prepared query `i`, or a batch of prepared samples.

    A prepared sample stands for `samples_each` samples, more than one where the model fixes its batch.
    """

    answer: Callable[[int], None]
    answer_batch: Callable[[Sequence[int]], None]
    queries: int
    samples: int
    samples_each: int = 1


@dataclass
class LatencyRun:
    """Latencies in seconds by block; block i of both models ran next to each other."""

    baseline: Blocks = field(default_factory=list)
    compressed: Blocks = field(default_factory=list)
    planned_queries: int = 0
    notes: list[str] = field(default_factory=list)

    def percentile(self, blocks: Blocks, name: str, confidence: float) -> Estimate:
        """Return p50, p90 or p99 of one model's blocks with its interval."""
        return percentile_interval(blocks, QUANTILES[name], confidence)

    def speedup(self, name: str, confidence: float) -> Estimate:
        """Return how many times the compressed model is as fast, at p50, p90 or p99."""
        return speedup_interval(self.baseline, self.compressed, QUANTILES[name], confidence)


@dataclass(frozen=True)
class LatencyPlan:
    """How the run is sized: `decisive` is the percentile that an SLA is about, None where there is no limit."""

    confidence: float
    decisive: str | None
    seconds: float


def measure_latency(
    baseline: Contender,
    compressed: Contender,
    plan: LatencyPlan,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    observer: Observer | None = None,
) -> LatencyRun:
    """Return the latencies of single queries, one after the other, in interleaved blocks (MLPerf SingleStream).

    As many queries as p99 at this confidence needs, more of a quick model; fewer where the time would not do, and then
    a note says so. While the machine's noise leaves the decisive percentile without an upper bound, blocks are added.
    """
    start = clock()
    sides = (baseline, compressed)
    pair_seconds = sum(_warm_up(side, clock) for side in sides)
    sizing = size_run(pair_seconds, plan.seconds, plan.confidence)
    run = LatencyRun(planned_queries=sizing.pairs * sizing.queries)
    most = math.ceil(sizing.pairs * MOST_EXTENSION)
    generator = np.random.default_rng(0)
    while len(run.baseline) < most:
        done = len(run.baseline)
        if done >= sizing.pairs and (plan.decisive is None or _bounded(run.compressed, plan)):
            break
        if done >= 2 and clock() - start > plan.seconds:
            run.notes.append(f"the time limit ended the benchmark after {done * sizing.queries} queries a side")
            break
        for index in generator.permutation(2):
            block = _block(sides[index], sizing, seed=done + 1)
            (run.baseline, run.compressed)[index].append(block)
            if observer:
                observer.latencies(MODELS[index], block)
        if advance:
            advance(min(1.0, (done + 1) / sizing.pairs))
    _note_missing_bounds(run, plan)
    return run


def measure_throughput(
    baseline: Contender,
    compressed: Contender,
    batch: int,
    confidence: float,
    seconds: float,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Estimate, Estimate]:
    """Return samples per second of both models when all samples are there at once (MLPerf Offline), interleaved."""
    start = clock()
    rates: tuple[list[float], list[float]] = ([], [])
    sides = (baseline, compressed)
    counts = [_offline_samples(side, batch, clock) for side in sides]
    generator = np.random.default_rng(0)
    for pair in range(THROUGHPUT_PAIRS):
        if pair >= 2 and clock() - start > seconds:
            break
        for index in generator.permutation(2):
            side = sides[index]
            side.answer_batch([0] * batch)
            rate = loadgen.offline(
                side.answer_batch, samples=side.samples, queries=counts[index], batch=batch, seed=pair + 1
            )
            rates[index].append(rate * side.samples_each)
        if advance:
            advance((pair + 1) / THROUGHPUT_PAIRS)
    found = [mean_interval(values, confidence) for values in rates]
    low, high = (Estimate(value=item.value, low=max(0.0, item.low), high=item.high) for item in found)
    return low, high


def _warm_up(side: Contender, clock: Callable[[], float]) -> float:
    """Answer until the model runs as it will, and return the median seconds of a query."""
    durations = []
    for query in range(FIRST_WARM_UP_QUERIES):
        before = clock()
        side.answer(query % side.queries)
        durations.append(clock() - before)
        if sum(durations) > FIRST_WARM_UP_SECONDS and query >= 2:
            break
    return float(np.median(durations))


def _bounded(blocks: Blocks, plan: LatencyPlan) -> bool:
    """Return whether the decisive percentile has an upper bound yet."""
    quantile = QUANTILES[plan.decisive or "p99"]
    return rank_bounds(effective_count(blocks, quantile), quantile, plan.confidence)[1] is not None


def _block(side: Contender, sizing: Sizing, seed: int) -> NDArray[np.float64]:
    for query in range(sizing.warm_up):
        side.answer(query % side.queries)
    return loadgen.single_stream(
        lambda indices: side.answer(indices[0]), samples=side.queries, queries=sizing.queries, seed=seed
    )


def _note_missing_bounds(run: LatencyRun, plan: LatencyPlan) -> None:
    for title, blocks in (("baseline", run.baseline), ("compressed", run.compressed)):
        asked = sum(len(block) for block in blocks)
        for name, quantile in QUANTILES.items():
            worth = effective_count(blocks, quantile)
            if rank_bounds(worth, quantile, plan.confidence)[1] is None:
                need = queries_needed(quantile, plan.confidence, discard=0)
                why = f", worth {worth} independent ones on this noisy machine" if worth < asked else ""
                run.notes.append(f"the {title}'s {name} has no upper bound: {asked} queries{why}; it needs {need}")


def _offline_samples(side: Contender, batch: int, clock: Callable[[], float]) -> int:
    """Return how many samples fill a block: a multiple of the batch."""
    before = clock()
    side.answer_batch([0] * batch)
    side.answer_batch([0] * batch)
    seconds = (clock() - before) / 2
    return batch * max(1, round(THROUGHPUT_BLOCK_SECONDS / max(seconds, 1e-6)))
