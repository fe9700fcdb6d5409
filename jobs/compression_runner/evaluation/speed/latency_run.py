"""Percentiles and speed-ups from the blocks of a latency run, with intervals that allow for noise and queueing."""

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.machine.noise import SLOWER_CLOCK, Noise, reason_of
from compression_runner.evaluation.speed.queries import Queries
from compression_runner.evaluation.speed.queueing import settling_queries
from compression_runner.evaluation.speed.relief import relieved_percentile
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Scenario
from compression_runner.evaluation.statistics.block_bootstrap import at_most_ratio, mean_interval, speedup_interval
from compression_runner.evaluation.statistics.order_statistics import (
    effective_count,
    percentile,
    percentile_interval,
    queued_count,
    rank_bounds,
)
from compressionjob.estimate import UNBOUNDED_SECONDS, Estimate
from compressionjob.figures import short_number

MODELS: Final = ("baseline", "compressed")
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p99": 0.99}

SETTLED: Final = 1.5
"""The run measures the load more precisely than its plan: up to this many times the planned settling is accepted."""

Blocks = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Block:
    """One LoadGen run of one model: its queries after warm-up, and the noise during the run."""

    queries: Queries
    noise: Noise | None = None


End = Literal["least", "most"]
"""Lower or upper bound of each query's time on a machine without other processes."""


@dataclass
class LatencyRun:
    """The blocks of both models; block i of one ran next to block i of the other.

    Each block begins with `settling` queries that let a queue settle and do not count. Every figure is that of a
    machine without other processes: the lower end of an interval uses the lower bound of each query's time, the upper
    end the upper bound.
    """

    pairs: list[tuple[Block, Block]] = field(default_factory=list)
    scenario: Scenario = SINGLE_STREAM
    settling: int = 0
    notes: list[str] = field(default_factory=list)

    def latencies(self, side: int, end: End = "most") -> Blocks:
        """Return the seconds from arrival to answer by block, of the baseline (0) or the compressed model (1)."""
        return [getattr(pair[side].queries.latency_bounds, end) for pair in self.pairs]

    def services(self, side: int, end: End = "most") -> Blocks:
        """Return the seconds of the model alone, without waiting in the queue, by block."""
        return [getattr(pair[side].queries.service_bounds, end) for pair in self.pairs]

    @property
    def queries(self) -> int:
        """Number of queries of each model, without warm-up."""
        return sum(len(pair[1].queries) for pair in self.pairs)

    @property
    def noise(self) -> Noise | None:
        """The noise during all blocks together."""
        noises = [block.noise for pair in self.pairs for block in pair if block.noise]
        return reduce(add, noises) if noises else None

    def percentile(self, side: int, name: str, confidence: float) -> Estimate:
        """Return p50, p90 or p99 of a model with its interval.

        If queries queue, the bounds are wider. The upper bound is unbounded until the queue has settled; both are if
        the model cannot keep up with the rate.
        """
        if not self.scenario.queues:
            return self._between(side, name, confidence)
        load = self._load(side, confidence)
        if load.low >= 1.0:
            return Estimate.exact(UNBOUNDED_SECONDS).model_copy(update={"reason": self._overload(load)})
        estimate = self._between(side, name, confidence)
        if load.high < 1.0 and settling_queries(load.value) <= SETTLED * self.settling:
            return estimate
        # Latencies of a queue that has not settled are too low.
        reason = "; ".join(text for text in (self._unsettled(load), estimate.reason) if text)
        return Estimate(value=estimate.value, low=estimate.low, high=UNBOUNDED_SECONDS, reason=reason)

    def speedup(self, name: str, confidence: float) -> Estimate | None:
        """Return the speed-up of the compressed model at p50, p90 or p99, in this scenario.

        A model that cannot keep up with the rate is infinitely slow; the speed-up is None if neither model can.
        """
        if not self.scenario.queues:
            return self._ratio(name, confidence)
        ends = [self.percentile(side, name, confidence) for side in (0, 1)]
        loose = [end.high >= UNBOUNDED_SECONDS for end in ends]
        if all(end.low >= UNBOUNDED_SECONDS for end in ends):
            return None
        if not any(loose):
            return self._ratio(name, confidence, queued=True)
        # Combining both ends makes the interval too wide, but the unbounded queue decides anyway.
        value = ends[0].value / ends[1].value
        reason = "; ".join(f"{model}: {end.reason}" for model, end in zip(MODELS, ends, strict=True) if end.reason)
        return Estimate(
            value=value, low=ends[0].low / ends[1].high, high=at_most_ratio(ends[0].high, ends[1].low), reason=reason
        )

    def service_speedup(self, confidence: float) -> Estimate:
        """Return the speed-up at p50 without waiting in the queue; the promises of methods refer to it."""
        return self._ratio("p50", confidence, services=True)

    def worth(self, side: int, name: str, confidence: float) -> int:
        """Return the effective sample size of a model's blocks for this percentile."""
        return self._worth(self.latencies(side), name, confidence)

    def bounded(self, side: int, name: str, confidence: float) -> bool:
        """Return whether there are enough queries for an upper bound of this percentile."""
        return rank_bounds(self.worth(side, name, confidence), QUANTILES[name], confidence)[1] is not None

    def _between(self, side: int, name: str, confidence: float) -> Estimate:
        """Return a percentile: each end comes from the corresponding bounds of the queries' times."""
        most = self.latencies(side)
        least, left = self._least(side, name)
        above = percentile_interval(most, QUANTILES[name], confidence, self._worth(most, name, confidence))
        below = percentile_interval(least, QUANTILES[name], confidence, self._worth(least, name, confidence))
        low = min(above.value, left * below.low)
        return Estimate(value=above.value, low=low, high=above.high, reason=self._reason())

    def _ratio(self, name: str, confidence: float, *, queued: bool = False, services: bool = False) -> Estimate:
        """Return a speed-up: the lower end from the fastest possible baseline and the slowest compressed model."""
        most = [self.services(side) if services else self.latencies(side) for side in (0, 1)]
        (least, left), (least_after, left_after) = (self._least(side, name, services=services) for side in (0, 1))
        quantile = QUANTILES[name]
        ratio = speedup_interval(most[0], most[1], quantile, confidence, queued=queued)
        below = speedup_interval(least, most[1], quantile, confidence, queued=queued)
        above = speedup_interval(most[0], least_after, quantile, confidence, queued=queued)
        low = min(ratio.value, left * below.low)
        high = max(ratio.value, at_most_ratio(above.high, left_after))
        return Estimate(value=ratio.value, low=low, high=high, reason=self._reason())

    def _least(self, side: int, name: str, *, services: bool = False) -> tuple[Blocks, float]:
        """Return blocks of the lower bound of each query's time, and the factor for their percentile.

        Waiting is counted for each query, and its sum cannot exceed the work of other processes: threads of one process
        also wait for each other. This gives two lower bounds; the higher one is used.
        """
        source = self.services if services else self.latencies
        by_query, as_measured = source(side, "least"), source(side)
        if self._noise_of(side) is None:
            return by_query, 1.0
        first = self._relief(by_query, side, name, self._unattributed(side), services=services)
        second = self._relief(as_measured, side, name, self._lost(side), services=services)
        quantile = QUANTILES[name]
        higher = _pooled(by_query, quantile) * first >= _pooled(as_measured, quantile) * second
        return (by_query, first) if higher else (as_measured, second)

    def _relief(self, blocks: Blocks, side: int, name: str, lost: float, *, services: bool) -> float:
        """Return the share of a percentile that remains when `lost` seconds are removed from unknown queries.

        The delay of one query delays those behind it, so in a queue only the time of the model alone remains.
        """
        if not lost:
            return 1.0
        waits = self.scenario.queues and not services
        taken = np.concatenate(self.services(side, "least") if waits else blocks)
        left = relieved_percentile(taken, 0.5 if waits else QUANTILES[name], lost)
        return min(1.0, left / max(_pooled(blocks, QUANTILES[name]), 1e-12))

    def _worth(self, blocks: Blocks, name: str, confidence: float) -> int:
        if self.scenario.queues:
            return queued_count(blocks, QUANTILES[name], confidence)
        return effective_count(blocks, QUANTILES[name], confidence)

    def _noise_of(self, side: int) -> Noise | None:
        noises = [noise for pair in self.pairs if (noise := pair[side].noise)]
        return reduce(add, noises) if noises else None

    def _lost(self, side: int) -> float:
        """Return the seconds that others and a slower clock took from a model's blocks."""
        noise = self._noise_of(side)
        return (noise.lost if noise else 0.0) + self._slower(side)

    def _unattributed(self, side: int) -> float:
        """Return the lost seconds that the bounds of single queries do not include: all if the kernel did not count."""
        if not all(pair[side].queries.counted for pair in self.pairs):
            return self._lost(side)
        noise = self._noise_of(side)
        return (noise.uncounted if noise else 0.0) + self._slower(side)

    def _slower(self, side: int) -> float:
        """Return the seconds that a clock below SLOWER_CLOCK of its usual frequency took from a model's blocks."""
        noises = [noise for pair in self.pairs if (noise := pair[side].noise) and noise.frequency is not None]
        usual = float(np.median([noise.frequency for noise in noises])) if noises else 0.0
        shares = [(noise.elapsed, (noise.frequency or 0.0) / max(usual, 1e-9)) for noise in noises]
        return sum(elapsed * (1.0 - share) for elapsed, share in shares if share < SLOWER_CLOCK)

    def _reason(self) -> str:
        noise = self.noise
        return reason_of(noise) if noise and noise.disturbed else ""

    def _load(self, side: int, confidence: float) -> Estimate:
        """Return the utilization: arrivals while one query is answered. At 1 and above the queue grows without end."""
        most, least = (
            mean_interval([float(block.mean()) for block in self.services(side, end)], confidence)
            for end in ("most", "least")
        )
        rate = self.scenario.rate
        lost = self._unattributed(side)
        left = max(0.0, 1.0 - lost / max(float(np.concatenate(self.services(side)).sum()), 1e-12))
        return Estimate(value=rate * most.value, low=rate * max(0.0, least.low) * left, high=rate * most.high)

    def _overload(self, load: Estimate) -> str:
        rate = self.scenario.rate
        return (
            f"{short_number(rate, 4)} queries arrive in a second, and it answers {short_number(rate / load.value, 4)}"
        )

    def _unsettled(self, load: Estimate) -> str:
        return f"{self._overload(load)}: too near for the queue to settle in the time that there was"


def _pooled(blocks: Blocks, quantile: float) -> float:
    return percentile(np.concatenate(blocks), quantile)
