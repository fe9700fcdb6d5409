"""What the blocks of a latency run say: percentiles and speed-ups, and how far noise or a queue puts them in doubt."""

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.machine.noise import SLOWER_CLOCK, Noise, reason_of
from compression_runner.evaluation.speed.loadgen import Queries
from compression_runner.evaluation.speed.queueing import settling_queries
from compression_runner.evaluation.speed.relief import relieved_percentile
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Scenario
from compression_runner.evaluation.statistics.block_bootstrap import mean_interval, speedup_interval
from compression_runner.evaluation.statistics.order_statistics import (
    effective_count,
    percentile,
    percentile_interval,
    queued_count,
    rank_bounds,
)
from compressionjob.estimate import UNBOUNDED_RATIO, UNBOUNDED_SECONDS, Estimate

MODELS: Final = ("baseline", "compressed")
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p99": 0.99}

SETTLED: Final = 1.5
"""The load is known better after the run than before it: so many times the settling that was allowed for still do."""

Blocks = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Block:
    """One LoadGen run of one model: its queries that count, and what else happened meanwhile."""

    queries: Queries
    noise: Noise | None = None


@dataclass
class LatencyRun:
    """The blocks that count; block i of both models ran next to each other.

    `settling` queries before those of each block let a queue settle. `disturbed` says that blocks count in which others
    took time away, since there were not enough without.
    """

    pairs: list[tuple[Block, Block]] = field(default_factory=list)
    scenario: Scenario = SINGLE_STREAM
    settling: int = 0
    disturbed: bool = False
    planned_queries: int = 0
    notes: list[str] = field(default_factory=list)

    def latencies(self, side: int) -> Blocks:
        """Return the seconds from arrival to answer by block, of the baseline (0) or the compressed model (1)."""
        return [pair[side].queries.latency for pair in self.pairs]

    def services(self, side: int) -> Blocks:
        """Return the seconds that the model itself took, by block."""
        return [pair[side].queries.service for pair in self.pairs]

    @property
    def noise(self) -> Noise | None:
        """What happened while the blocks ran that count."""
        found = [block.noise for pair in self.pairs for block in pair if block.noise]
        return reduce(add, found) if found else None

    def percentile(self, side: int, name: str, confidence: float) -> Estimate:
        """Return p50, p90 or p99 of a model, as it was on this machine at this time, with its interval.

        Where queries queue, the bounds are wider, the upper one is unbounded unless the queue has settled, and both are
        when the model cannot keep the rate.
        """
        if not self.scenario.queues:
            return percentile_interval(self.latencies(side), QUANTILES[name], confidence)
        load = self._load(side, confidence)
        if load.low >= 1.0:
            return Estimate.exact(UNBOUNDED_SECONDS).model_copy(update={"reason": self._overload(load)})
        worth = self.worth(side, name, confidence)
        found = percentile_interval(self.latencies(side), QUANTILES[name], confidence, worth)
        if load.high < 1.0 and settling_queries(load.value) <= SETTLED * self.settling:
            return found
        # What an unsettled queue shows is less than what it will be.
        return Estimate(value=found.value, low=found.low, high=UNBOUNDED_SECONDS, reason=self._unsettled(load))

    def speedup(self, name: str, confidence: float) -> Estimate | None:
        """Return how many times the compressed model is as fast, at p50, p90 or p99, in this scenario.

        A model that cannot keep the rate is infinitely slow, so it is None where neither can.
        """
        if not self.scenario.queues:
            return speedup_interval(self.latencies(0), self.latencies(1), QUANTILES[name], confidence)
        ends = [self.percentile(side, name, confidence) for side in (0, 1)]
        loose = [end.high >= UNBOUNDED_SECONDS for end in ends]
        if all(end.low >= UNBOUNDED_SECONDS for end in ends):
            return None
        if not any(loose):
            return speedup_interval(self.latencies(0), self.latencies(1), QUANTILES[name], confidence, queued=True)
        # Both ends at once: wider than it must be, but the queue that has no end decides anyway.
        value = ends[0].value / ends[1].value
        reason = "; ".join(f"{model}: {end.reason}" for model, end in zip(MODELS, ends, strict=True) if end.reason)
        return Estimate(
            value=value, low=ends[0].low / ends[1].high, high=_at_most(ends[0].high, ends[1].low), reason=reason
        )

    def service_speedup(self, confidence: float) -> Estimate:
        """Return how many times the compressed model itself is as fast at p50, whatever waits: what methods promise."""
        found = speedup_interval(self.services(0), self.services(1), QUANTILES["p50"], confidence)
        return self._doubted(found, "p50", services=True)

    def latency_verdict(self, name: str, confidence: float) -> Estimate:
        """Return what a limit on the compressed model's latency is judged by.

        Noise only adds to latencies. So the upper bound stands, and where blocks count that were disturbed, the lower
        one is what it could have been without the time that others took.
        """
        found = self.percentile(1, name, confidence)
        if not self.disturbed:
            return found
        return found.model_copy(update={"low": found.low * self._relief(1, name), "reason": self._reason(found)})

    def speedup_verdict(self, name: str, confidence: float) -> Estimate | None:
        """Return what a limit on the speed-up is judged by: doubtful at both ends where disturbed blocks count."""
        found = self.speedup(name, confidence)
        return found and self._doubted(found, name)

    def worth(self, side: int, name: str, confidence: float) -> int:
        """Return how many independent queries a model's blocks are worth for this percentile."""
        if self.scenario.queues:
            return queued_count(self.latencies(side), QUANTILES[name], confidence)
        return effective_count(self.latencies(side), QUANTILES[name])

    def bounded(self, side: int, name: str, confidence: float) -> bool:
        """Return whether there are queries enough for an upper bound of this percentile."""
        return rank_bounds(self.worth(side, name, confidence), QUANTILES[name], confidence)[1] is not None

    def quiet_pairs(self) -> list[tuple[Block, Block]]:
        """Return the pairs of blocks during which the machine was this process's."""
        usual = [self._usual_frequency(side) for side in (0, 1)]
        return [
            pair
            for pair in self.pairs
            if not any(_is_disturbed(block, clock) for block, clock in zip(pair, usual, strict=True))
        ]

    def _doubted(self, found: Estimate, name: str, *, services: bool = False) -> Estimate:
        """Widen a speed-up by what others may have done to it.

        Delays that fall on both models pull their ratio towards 1. So the end that is nearer to 1 is off at most as far
        as one model alone was slowed in proportion; the other one as far as all delays together reach.
        """
        if not self.disturbed:
            return found
        kept = min(noise.kept if (noise := self._noise_of(side)) else 1.0 for side in (0, 1))
        before, after = (self._relief(side, name, services=services) for side in (0, 1))
        low, high = (kept, after) if found.value >= 1.0 else (before, kept)
        ends = {"low": found.low * low, "high": _at_most(found.high, high)}
        return found.model_copy(update={**ends, "reason": self._reason(found)})

    def _noise_of(self, side: int) -> Noise | None:
        found = [noise for pair in self.pairs if (noise := pair[side].noise)]
        return reduce(add, found) if found else None

    def _relief(self, side: int, name: str, *, services: bool = False) -> float:
        """Return which share of a percentile is left when all the time that others took is given back.

        One query's delay delays those behind it, so in a queue only the time that the model itself took is left.
        """
        waits = self.scenario.queues and not services
        taken = np.concatenate(self.services(side))
        whole = percentile(np.concatenate(self.latencies(side)) if waits else taken, QUANTILES[name])
        left = relieved_percentile(taken, 0.5 if waits else QUANTILES[name], self._lost(side))
        return min(1.0, left / max(whole, 1e-12))

    def _usual_frequency(self, side: int) -> float | None:
        found = [pair[side].noise for pair in self.pairs]
        clocks = [noise.frequency for noise in found if noise and noise.frequency is not None]
        return float(np.median(clocks)) if clocks else None

    def _lost(self, side: int) -> float:
        """Return the seconds that others, and a slower clock, took from a model's blocks."""
        found, usual = self._noise_of(side), self._usual_frequency(side)
        slower = [
            noise.elapsed * max(0.0, 1.0 - noise.frequency / usual)
            for noise in (pair[side].noise for pair in self.pairs)
            if noise and usual and noise.frequency is not None
        ]
        return (found.lost if found else 0.0) + sum(slower)

    def _reason(self, found: Estimate) -> str:
        noise = self.noise
        return "; ".join(text for text in (found.reason, reason_of(noise) if noise else "") if text)

    def _load(self, side: int, confidence: float) -> Estimate:
        """Return the arrivals while one query is answered: at 1 and above the queue grows without end."""
        found = mean_interval([float(block.mean()) for block in self.services(side)], confidence)
        rate = self.scenario.rate
        share = 1.0
        if self.disturbed:
            share = max(0.0, 1.0 - self._lost(side) / float(np.concatenate(self.services(side)).sum()))
        return Estimate(value=rate * found.value, low=rate * max(0.0, found.low) * share, high=rate * found.high)

    def _overload(self, load: Estimate) -> str:
        rate = self.scenario.rate
        return f"{rate:.4g} queries arrive in a second, and it answers {rate / load.value:.4g}"

    def _unsettled(self, load: Estimate) -> str:
        return f"{self._overload(load)}: too near for the queue to settle in the time that there was"


def _at_most(above: float, below: float) -> float:
    """Return the upper bound of a speed-up as a quotient; a bound past belief is UNBOUNDED_RATIO, to the last bit."""
    # Not by a division alone: x / (x / UNBOUNDED_RATIO) is a little less than it for one x in eighteen.
    return UNBOUNDED_RATIO if below * UNBOUNDED_RATIO <= above else above / below


def _is_disturbed(block: Block, usual: float | None) -> bool:
    noise = block.noise
    if noise is None:
        return False
    slow = usual is not None and noise.frequency is not None and noise.frequency < SLOWER_CLOCK * usual
    return slow or noise.disturbed
