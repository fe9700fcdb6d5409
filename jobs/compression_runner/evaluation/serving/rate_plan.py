"""Choose the rates of the next tests: those that decide the job's limits, then those that bound the highest rate.

If the guesses of the highest rates keep a limit, the tests are to show that: a limit `min` needs a rate of at least
`min` at which the compressed model holds its limits. A limit `minRatio` needs a rate at which the baseline breaks its
limits, and `minRatio` times that rate, or more, at which the compressed model holds them. If the guesses break a limit,
it is the other way round.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from compression_runner.evaluation.serving.rate_run import RateRun
from compressionjob.serving import GoodputLimit

WIDE: Final = 1.35
"""Least factor between a guess and the rate of a test, if no limit asks for less. A limit farther away than its square
is tested in the middle of both."""
WIDER: Final = 1.1
"""Factor of that distance for each test that stayed open."""
PREFERRED_LOOKS: Final = 6
"""Looks after which a test that stays open is no longer preferred to one at another rate."""
STICKY: Final = 0.6
"""A test goes on if its rate differs from the one wanted by at most this share of the distance to the guess."""
CLOSE: Final = 1.02
"""Closest factor between a guess and a rate that is tested."""
DIGITS: Final = 4
"""Digits of a rate that is chosen."""
EXACT: Final = 1e-9
"""A rate is above or below a product by more than its rounding."""


@dataclass
class _Needs:
    """Rates that the highest rate of one model is to be shown to reach, and to stay below."""

    reach: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)


def next_rates(run: RateRun, limit: GoodputLimit | None) -> dict[int, float]:
    """Return the next rate to test of each model that needs one."""
    needs = _needs(run, limit)
    for choose in (_for_limits, _for_ends):
        rates = {side: choose(run, side, needs[side]) for side in (0, 1)}
        if any(rates.values()):
            break
    return {side: rate for side, rate in rates.items() if rate}


def _needs(run: RateRun, limit: GoodputLimit | None) -> tuple[_Needs, _Needs]:
    before, after = _Needs(), _Needs()
    guess = run.guesses
    if limit and limit.min is not None:
        (after.reach if guess[1] >= limit.min else after.below).append(limit.min)
    if limit and limit.min_ratio is not None:
        kept = guess[1] / guess[0] / limit.min_ratio
        apart = min(WIDE, max(CLOSE, math.sqrt(max(kept, 1.0 / kept))))
        if kept >= 1.0:
            known = run.high(0) * limit.min_ratio * math.sqrt(apart) <= guess[1]
            rate = run.high(0) if known else _going(run, 0, guess[0] * apart) or _up(guess[0] * apart)
            before.below.append(rate)
            after.reach.append(_up(rate * limit.min_ratio))
        else:
            known = run.low(0) * limit.min_ratio >= guess[1] * math.sqrt(apart)
            rate = run.low(0) if known else _going(run, 0, guess[0] / apart) or _down(guess[0] / apart)
            before.reach.append(rate)
            after.below.append(_down(rate * limit.min_ratio))
    return before, after


def _for_limits(run: RateRun, side: int, needs: _Needs) -> float:
    """Return the next rate of one model that the limits need; 0 if they need none."""
    guess = run.guesses[side]
    reach, below = max(needs.reach, default=0.0), min(needs.below, default=math.inf)
    if run.low(side) < reach <= guess:
        return _lower(run, side, reach)
    return _upper(run, side, below) if run.high(side) > below >= guess else 0.0


def _for_ends(run: RateRun, side: int, _: _Needs) -> float:
    """Return the next rate for an end of the interval of one model's highest rate; 0 if it has both."""
    lowest = run.lowest(side)
    if run.guesses[side] <= lowest:
        return lowest if run.high(side) > lowest else 0.0
    if run.low(side) < run.guesses[side] / WIDE**2:
        return _lower(run, side, 0.0)
    return 0.0 if run.high(side) <= run.guesses[side] * WIDE**2 else _upper(run, side, math.inf)


def _lower(run: RateRun, side: int, reach: float) -> float:
    """Return a rate below the guess, not below `reach`: that of an open test, or farther away than those."""
    guess = run.guesses[side]
    tried = [test for test in run.of(side) if test.outcome == "open" and test.looks and test.rate < guess]
    going = [
        test.rate for test in tried if test.looks < PREFERRED_LOOKS and reach <= test.rate <= guess / math.sqrt(WIDE)
    ]
    far = max(WIDE * WIDER ** len(tried), math.sqrt(guess / reach) if reach else 0.0)
    return max(going) if going else max(reach, _down(guess / far))


def _upper(run: RateRun, side: int, below: float) -> float:
    """Return a rate above the guess, not above `below`: that of an open test, or farther away than those."""
    guess = run.guesses[side]
    tried = [test for test in run.of(side) if test.outcome == "open" and test.looks and test.rate > guess]
    going = [
        test.rate for test in tried if test.looks < PREFERRED_LOOKS and below >= test.rate >= guess * math.sqrt(WIDE)
    ]
    far = max(WIDE * WIDER ** len(tried), math.sqrt(below / guess) if below < math.inf else 0.0)
    return min(going) if going else min(below, _up(guess * far))


def _going(run: RateRun, side: int, rate: float) -> float:
    """Return the rate of the open test with most blocks that is close to this rate; 0 without one."""
    away = abs(math.log(rate / run.guesses[side])) * STICKY
    near = (test for test in run.of(side) if test.outcome == "open" and test.looks < PREFERRED_LOOKS)
    close = [test for test in near if test.looks and abs(math.log(test.rate / rate)) <= away]
    return max(close, key=lambda test: len(test.blocks)).rate if close else 0.0


def _up(rate: float) -> float:
    """Return the next rate of few digits above this one."""
    step = _step(rate)
    return round(math.ceil(rate * (1.0 + EXACT) / step) * step, 12)


def _down(rate: float) -> float:
    """Return the next rate of few digits below this one."""
    step = _step(rate)
    return round(math.floor(rate * (1.0 - EXACT) / step) * step, 12)


def _step(rate: float) -> float:
    return 10.0 ** (math.floor(math.log10(rate)) - DIGITS + 1)
