"""Find the highest rate of requests at which the latency limits of a job hold, for both models.

First the search: trials of one block each, at rates that are doubled or halved and then bisected. They choose rates and
decide nothing. Then the tests: fresh blocks at the chosen rates, in turns of both models, with looks after 8, 12, 18
and more blocks. A test ends when it is decided; then the next rates are chosen.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from compression_runner.evaluation.serving.client import Request
from compression_runner.evaluation.serving.latency_limits import latency_bounds
from compression_runner.evaluation.serving.load import Load
from compression_runner.evaluation.serving.rate_plan import next_rates
from compression_runner.evaluation.serving.rate_run import TESTS, RateRun, RateTest, between
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.serving.servers import Servers
from compression_runner.evaluation.serving.serving import (
    FEWEST,
    FIRST_PAIRS,
    GROWTH_REQUESTS,
    SETTLE,
    SLOWER,
    requests_alone,
    served_block,
    settle_requests,
)
from compression_runner.evaluation.statistics.alpha_spending import LOOKS
from compression_runner.evaluation.statistics.paired_shares import each_of
from compressionjob.objectives import Sla

MOST_TRIALS: Final = 10
"""Most trials of the search for one model."""
SEARCH: Final = 0.4
"""Most of the time for the trials of both models."""
TRIAL: Final = 0.02
"""Time of the arrivals of a trial, as a share of the time; an overloaded server takes longer."""
BLOCK: Final = 0.025
"""Most of the time for the arrivals of a block."""
NARROW: Final = 1.25
"""The search ends when the rates that seem to hold and to break the limits are this close."""
FIRST_RATE: Final = 2.0
"""Rate of the first trial, times the seconds of a request alone."""
MORE: Final = 1.5
"""Blocks at a look, divided by those at the look before."""
LEAST: Final = 12
"""Fewest requests of a block, if there is time for no more."""

Block = Callable[[int, Load, int, int], ServedBlock]
"""Takes the model (0 is the baseline), the load, measured requests and a seed; returns the block."""


@dataclass(frozen=True)
class RatePlan:
    """The job's limits, the confidence of each of the usual looks at one measurement, and the seconds for all."""

    limits: Sla
    confidence: float
    seconds: float
    seed: int = 0


def find_rate(
    servers: Servers,
    request: Request,
    plan: RatePlan,
    decided: Callable[[RateRun], bool],
    advance: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> RateRun:
    """Return the tests of both servers; `decided` returns at a look whether all limits are decided.

    The first start of each server is not part of the time. Raises InvalidInput or BadRecipe if the engine does not
    serve a model, and LoadGenError.
    """
    alone = requests_alone(servers, 0, request), requests_alone(servers, 1, request)
    request = replace(request, timeout=max(request.timeout, SLOWER * max(each.seconds for each in alone)))

    def block(side: int, load: Load, requests: int, seed: int) -> ServedBlock:
        return served_block(servers, side, request, load, requests, seed)

    return FindRate(plan, alone, block, clock, servers.resident, decided, advance).measure()


@dataclass
class FindRate:
    """A search and its tests; `resident` is whether both servers run at once."""

    plan: RatePlan
    alone: tuple[Alone, Alone]
    block: Block
    clock: Callable[[], float]
    resident: bool = True
    decided: Callable[[RateRun], bool] = lambda _: False
    advance: Callable[[float], None] = lambda _: None
    run: RateRun = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._numbers = [0, 0]
        self._generator = np.random.default_rng(self.plan.seed)
        first = [FIRST_RATE / alone.seconds for alone in self.alone]
        bounds = tuple(latency_bounds(self.plan.limits))
        self.run = RateRun(bounds, self.alone, each_of(TESTS, self.plan.confidence), first)

    def measure(self) -> RateRun:
        """Return the trials and tests: until the limits are decided and each rate has two ends, or the time is over."""
        for side in (0, 1):
            start = self.run.guesses[0] if side else self.run.guesses[side]
            self.run.guesses[side] = self._search(side, start)
        self.run.guess_again()
        done = False
        while self._left > 0:
            rates = next_rates(self.run, self.plan.limits.goodput)
            if not rates and done:
                break
            tests = self._tests(rates)
            if not tests:
                break
            end = self._spent + self._left / 2
            more = True
            while more and self._left > 0 and self._spent < end:
                more = self._take(tests) and all(test.outcome == "open" for test in tests)
                done = self.decided(self.run)
                self.run.guess_again()
                more = more and next_rates(self.run, self.plan.limits.goodput) == rates
        self.advance(1.0)
        return self.run

    @property
    def _spent(self) -> float:
        return self.clock() - self._began

    @property
    def _left(self) -> float:
        return self.plan.seconds - self._spent

    def _search(self, side: int, rate: float) -> float:
        """Return the rate at which the limits of one model seem to break."""
        low, high, lowest = 0.0, math.inf, self.run.lowest(side)
        end = self._spent + (SEARCH * self.plan.seconds - self._spent) / (2 - side)
        for _ in range(MOST_TRIALS):
            rate = max(rate, lowest)
            if self._trial(side, rate):
                low = rate
            else:
                high = rate
            if high <= lowest or (low > 0.0 and high / low <= NARROW) or self._spent > end:
                break
            rate = between(low, high, step=2.0)
        return max(lowest, between(low, high))

    def _trial(self, side: int, rate: float) -> bool:
        """Return whether the limits seem to hold at a rate."""
        flying = max(rate * self.alone[side].seconds, self._in_flight(side, rate))
        requests = rate * TRIAL * self.plan.seconds
        settle = settle_requests(min(flying, requests / 4 / SETTLE))
        test = RateTest(side, rate)
        count = max(LEAST, min(2 * FEWEST, int(requests) - 2 * settle))
        self._add(test, count, settle)
        self.run.trials.append(test)
        return test.seems_to_hold(self.run.bounds)

    def _tests(self, rates: Mapping[int, float]) -> list[RateTest]:
        """Return the tests at these rates; without any, those that may measure more for other limits."""
        if not rates:
            shown = [self.run.shown(side) for side in (0, 1)]
            return [test for test in shown if test and len(test.blocks) < _blocks_at(LOOKS - 1)]
        tests = []
        for side, rate in rates.items():
            known = next((test for test in self.run.of(side) if test.rate == rate), None)
            if known is None and len(self.run.tests) < TESTS:
                known = RateTest(side, rate)
                self.run.tests.append(known)
            if known is not None and known.looks < LOOKS:
                tests.append(known)
        return tests

    def _take(self, tests: list[RateTest]) -> bool:
        """Measure each test until its next look, and judge it; return whether another look may follow."""
        wanted = {id(test): next(size for size in _SIZES if size > len(test.blocks)) for test in tests}
        while any(len(test.blocks) < wanted[id(test)] for test in tests):
            for number in self._generator.permutation(len(tests)):
                test = tests[number]
                turns = 1 if self.resident else wanted[id(test)]
                for _ in range(min(turns, wanted[id(test)] - len(test.blocks))):
                    if self._left <= 0:
                        return self._look(tests)
                    requests, settle = self._size(test)
                    self._add(test, requests, settle)
                    self.advance(min(1.0, self._spent / self.plan.seconds))
        return self._look(tests)

    def _look(self, tests: list[RateTest]) -> bool:
        for test in tests:
            if len(test.blocks) > 1:
                test.look(self.run.bounds, self.alone[test.side], self.run.confidence)
        return any(len(test.blocks) < _SIZES[-1] for test in tests)

    def _size(self, test: RateTest) -> tuple[int, int]:
        """Return the measured requests of each block of a test, and those before and after them."""
        flying = self._in_flight(test.side, test.rate)
        most = test.rate * BLOCK * self.plan.seconds
        settle = settle_requests(min(flying, most / 4 / SETTLE))
        wanted = max(2 * FEWEST, math.ceil(GROWTH_REQUESTS * math.sqrt(flying)))
        return max(LEAST, min(wanted, int(most) - 2 * settle)), settle

    def _in_flight(self, side: int, rate: float) -> float:
        """Return about how many requests are in flight at a rate: by the trial at the nearest rate below, or above."""
        alone = rate * self.alone[side].seconds
        trials = [trial for trial in self.run.trials if trial.side == side]
        below = [trial for trial in trials if trial.rate <= rate * 1.001]
        nearest = max(below, key=lambda trial: trial.rate, default=None)
        if nearest is None:
            return alone
        return max(alone, nearest.blocks[0].loaded.in_flight * rate / nearest.rate)

    def _add(self, test: RateTest, requests: int, settle: int) -> None:
        # Blocks of the same number have the same prompts for both models.
        seed = 1 + 100_000 * self.plan.seed + self._numbers[test.side]
        self._numbers[test.side] += 1
        test.blocks.append(self.block(test.side, Load(rate=test.rate, settle=settle), requests, seed))


def _blocks_at(look: int) -> int:
    return math.ceil(FIRST_PAIRS * MORE**look)


_SIZES: Final = tuple(_blocks_at(look) for look in range(LOOKS))
