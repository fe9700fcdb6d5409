"""The highest rate of requests at which the latency limits of a job hold, for both models, from tests at fixed rates.

Latencies do not fall with the rate of requests. So if the limits hold at a rate, the highest rate is at least that one,
and if a limit breaks at a rate, the highest rate is less. A test decides at one rate, from blocks that no choice of
this rate has seen. All tests and all looks at them hold together, so any of them may be chosen for the ends of an
interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.serving.latency_limits import LatencyBound
from compression_runner.evaluation.serving.model_run import MOST_GROWTH, ModelRun, noise_of
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES
from compression_runner.evaluation.statistics.block_bootstrap import at_most_ratio
from compression_runner.evaluation.statistics.order_statistics import percentile
from compression_runner.evaluation.statistics.paired_shares import each_of
from compressionjob.estimate import UNBOUNDED_RATE, UNBOUNDED_RATIO, UNBOUNDED_SECONDS, Estimate
from compressionjob.figures import short_number

TESTS: Final = 12
"""Most tests of a run, of both models together."""
LOWEST: Final = 0.1
"""Lowest rate of a search, times the seconds of a request alone: requests are seldom at the same time."""

NEAR: Final = 1.6
"""A guess depends on measurements at rates within this factor of the guess before it."""
FAR: Final = 1.0
"""Largest logarithm of a latency divided by its limit that counts for a guess."""

Outcome = Literal["holds", "breaks", "open"]


@dataclass
class RateTest:
    """Blocks of one model at one rate, whether the limits hold at it, and the latencies that show it."""

    side: int
    rate: float
    blocks: list[ServedBlock] = field(default_factory=list)
    outcome: Outcome = "open"
    latencies: dict[str, Estimate] = field(default_factory=dict)
    looks: int = 0

    @property
    def requests(self) -> int:
        """Measured requests."""
        return sum(len(block.answers) for block in self.blocks)

    def model(self, alone: Alone) -> ModelRun:
        """Return the blocks with the requests of the server alone."""
        return ModelRun(True, self.blocks, alone)

    def look(self, bounds: Sequence[LatencyBound], alone: Alone, confidence: float) -> None:
        """Judge all blocks. A decision is final: later looks would be further chances of a wrong one."""
        if self.outcome != "open":
            return
        self.looks += 1
        each = each_of(len(bounds), confidence)
        model = self.model(alone)
        self.latencies = {bound.name: model.latency(bound.name, bound.percentile, each) for bound in bounds}
        if any(self.latencies[bound.name].low > bound.seconds for bound in bounds):
            self.outcome = "breaks"
        elif all(self.latencies[bound.name].high <= bound.seconds for bound in bounds):
            self.outcome = "holds"

    def seems_to_hold(self, bounds: Sequence[LatencyBound]) -> bool:
        """Return whether the measured values hold the limits, without confidence."""
        return self.excess(bounds) <= 0.0

    def excess(self, bounds: Sequence[LatencyBound]) -> float:
        """Return the largest logarithm of a latency by its limit, within FAR; FAR if the server falls behind."""
        growth = float(np.mean([block.loaded.growth for block in self.blocks]))
        flying = float(np.mean([block.loaded.in_flight for block in self.blocks]))
        chance = 2.0 * math.sqrt(2.0 * flying / len(self.blocks)) / (self.requests / len(self.blocks))
        if growth > MOST_GROWTH + chance:
            return FAR
        logs = (math.log(max(self._measured(bound), 1e-9) / bound.seconds) for bound in bounds)
        return min(FAR, max(-FAR, *logs))

    def _measured(self, bound: LatencyBound) -> float:
        values = np.concatenate([block.seconds(bound.name) for block in self.blocks])
        return percentile(values, QUANTILES[bound.percentile]) if len(values) else 0.0


@dataclass
class RateRun:
    """Trials, which only choose rates, and tests, which decide; `guesses` are the rates that seem to be the highest.

    `confidence` is that of each look at each test.
    """

    bounds: Sequence[LatencyBound]
    alone: tuple[Alone, Alone]
    confidence: float
    guesses: list[float]
    trials: list[RateTest] = field(default_factory=list)
    tests: list[RateTest] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """Measured requests to each model, on average."""
        return sum(test.requests for test in self.tests) // len(MODELS)

    @property
    def noise(self) -> Noise | None:
        """The noise during all tests together."""
        return noise_of([block for test in self.tests for block in test.blocks])

    def of(self, side: int) -> list[RateTest]:
        """Return the tests of one model."""
        return [test for test in self.tests if test.side == side]

    def lowest(self, side: int) -> float:
        """Return the rate below which a search has no sense."""
        return LOWEST / self.alone[side].seconds

    def low(self, side: int) -> float:
        """Return the highest rate at which the limits hold with confidence; 0 without one."""
        return max((test.rate for test in self.of(side) if test.outcome == "holds"), default=0.0)

    def high(self, side: int) -> float:
        """Return the lowest rate at which a limit breaks with confidence; infinity without one."""
        return min((test.rate for test in self.of(side) if test.outcome == "breaks"), default=math.inf)

    def max_rate(self, side: int) -> Estimate:
        """Return the highest rate at which the limits hold: at least `low`, and less than the rate above `high`."""
        low, high = self.low(side), self.high(side)
        if low >= high:
            reason = f"limits broke at {short_number(high, 4)} and held at {short_number(low, 4)} requests a second"
            return Estimate(value=self.guesses[side], low=0.0, high=UNBOUNDED_RATE, reason=reason)
        # The limits do not hold at `high` itself.
        below = math.nextafter(high, 0.0) if high < math.inf else UNBOUNDED_RATE
        return Estimate(value=min(max(self.guesses[side], low), below), low=low, high=below)

    def ratio(self) -> Estimate:
        """Return the highest rate of the compressed model divided by the baseline's."""
        before, after = self.max_rate(0), self.max_rate(1)
        low = after.low / before.high if before.high < UNBOUNDED_RATE else 0.0
        bounded = after.high < UNBOUNDED_RATE and before.low > 0.0
        high = at_most_ratio(after.high, before.low) if bounded else UNBOUNDED_RATIO
        value = min(max(at_most_ratio(after.value, before.value), low), high)
        reason = "; ".join(
            f"{model}: {one.reason}" for model, one in zip(MODELS, (before, after), strict=True) if one.reason
        )
        return Estimate(value=value, low=low, high=high, reason=reason)

    def shown(self, side: int) -> RateTest | None:
        """Return the test at the highest rate that holds; without one, that at the lowest rate; None without tests."""
        held = [test for test in self.of(side) if test.outcome == "holds"]
        if held:
            return max(held, key=lambda test: test.rate)
        return min(self.of(side), key=lambda test: test.rate, default=None)

    def latencies(self) -> dict[str, Estimate]:
        """Return the latencies of the compressed model at the highest rate that holds.

        A limit breaks if it does at the lowest rate of a search. Otherwise, without a rate that holds, they are open.
        """
        test = self.shown(1)
        if test is None or not test.latencies:
            return {}
        if test.outcome == "holds" or (test.outcome == "breaks" and test.rate <= self.lowest(1)):
            return test.latencies
        reason = "no rate was found at which all limits hold with confidence"
        return {
            name: Estimate(value=one.value, low=0.0, high=UNBOUNDED_SECONDS, reason=reason)
            for name, one in test.latencies.items()
        }

    def guess_again(self) -> None:
        """Move guesses to where the measured values of all trials and tests cross the limits."""
        for side, guess in enumerate(self.guesses):
            near = [
                (math.log(test.rate), test.excess(self.bounds), test.requests)
                for test in (*self.trials, *self.tests)
                if test.side == side and test.blocks and guess / NEAR <= test.rate <= guess * NEAR
            ]
            crossing = _crossing(near) if near else None
            low, high = self.low(side), self.high(side)
            moved = guess if crossing is None else min(max(crossing, guess / NEAR), guess * NEAR)
            self.guesses[side] = moved if low < moved < high else between(low, high)


def _crossing(points: Sequence[tuple[float, float, int]]) -> float | None:
    """Return the rate at which a line through (log of the rate, excess, weight) crosses 0; None if it does not rise."""
    rates, excess, weights = np.array(points).T
    at, mean = np.average(rates, weights=weights), np.average(excess, weights=weights)
    spread = float(np.average((rates - at) ** 2, weights=weights))
    slope = float(np.average((rates - at) * (excess - mean), weights=weights)) / spread if spread > 0.0 else 0.0
    return math.exp(float(at) - float(mean) / slope) if slope > 0.0 else None


def between(low: float, high: float, step: float = 1.1) -> float:
    """Return a rate between two others; the lower may be 0, and the higher infinity."""
    if low > 0.0 and high < math.inf:
        return math.sqrt(low * high)
    return low * step if high == math.inf else high / step
