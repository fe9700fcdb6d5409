"""Measure the throughput of two models in alternating blocks (MLPerf Offline), and the energy of a sample."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final

import numpy as np

from compression_runner.evaluation.machine.energy import Meter
from compression_runner.evaluation.machine.noise import Noise, Reading, noise_between, read_noise, reason_of
from compression_runner.evaluation.speed import loadgen
from compression_runner.evaluation.speed.loadgen import Offline
from compression_runner.evaluation.speed.scenario import SystemUnderTest
from compression_runner.evaluation.statistics.alpha_spending import LOOKS, look_sizes
from compression_runner.evaluation.statistics.block_bootstrap import mean_interval
from compressionjob.estimate import Estimate

FIRST_PAIRS: Final = 4
"""Pairs of blocks at the first look; with fewer, Student's interval is far too wide to decide."""
UNLIMITED_PAIRS: Final = 2
"""Pairs of blocks if no objective limits throughput."""
THROUGHPUT_BLOCK_SECONDS: Final = 0.5

Decided = Callable[["ThroughputRun"], bool]
"""Takes the run at a look; returns whether it may end."""


@dataclass(frozen=True)
class Rate:
    """One block of one model: measured samples per second, and the bounds of the rate without other processes."""

    measured: float
    least: float
    most: float
    joules: float | None
    noise: Noise


@dataclass
class ThroughputRun:
    """Pairs of blocks of both models; `confidence` is that of each look's intervals."""

    confidence: float
    pairs: list[tuple[Rate, Rate]] = field(default_factory=list)

    @property
    def noise(self) -> Noise:
        """The noise during all blocks together."""
        return reduce(add, [block.noise for pair in self.pairs for block in pair])

    def rate(self, side: int) -> Estimate:
        """Return samples per second of the baseline (0) or the compressed model (1) without other processes.

        The lower end uses the lower bound of the rates, the upper end the upper bound.
        """
        rates = [pair[side] for pair in self.pairs]
        below, above = (
            mean_interval(values, self.confidence)
            for values in ([rate.least for rate in rates], [rate.most for rate in rates])
        )
        reason = reason_of(self.noise) if self.noise.disturbed else ""
        return Estimate(value=below.value, low=max(0.0, below.low), high=max(below.value, above.high), reason=reason)

    def energy(self, side: int) -> Estimate | None:
        """Return joules per sample; None if the machine does not report it."""
        readings = [pair[side].joules for pair in self.pairs]
        known = [joules for joules in readings if joules is not None]
        if len(known) < max(2, len(readings)):
            return None
        joules = mean_interval(known, self.confidence)
        return joules.model_copy(update={"low": max(0.0, joules.low)})


def measure_throughput(
    baseline: SystemUnderTest,
    compressed: SystemUnderTest,
    batch: int,
    confidence: float,
    seconds: float,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    look: Callable[[], Reading] = read_noise,
    meter: Meter | None = None,
    decided: Decided | None = None,
    looks: int = LOOKS,
) -> ThroughputRun:
    """Return samples per second of both models when all samples are there at once (MLPerf Offline), interleaved.

    The run ends at the first of at most `looks` looks at which `decided` returns true, or after `seconds`; without
    `decided`, after two pairs of blocks. `confidence` is that of each look's intervals.
    """
    start = clock()
    run = ThroughputRun(confidence)
    sides = (baseline, compressed)
    counts = [_offline_samples(side, batch, clock) for side in sides]
    sizes: tuple[int, ...] = (UNLIMITED_PAIRS,)
    if decided:
        sizes = look_sizes(FIRST_PAIRS, most_pairs(seconds), looks)
    generator = np.random.default_rng(0)
    while True:
        done = len(run.pairs)
        late = done >= sizes[-1] or (done >= 2 and clock() - start > seconds)
        if (late or done in sizes) and (decided is None or decided(run) or late):
            break
        rates = {i: _block(sides[i], counts[i], batch, done + 1, look, meter) for i in generator.permutation(2)}
        run.pairs.append((rates[0], rates[1]))
        if advance:
            advance((done + 1) / (done + 1 + sizes[0]))
    if advance:
        advance(1.0)
    return run


def most_pairs(seconds: float) -> int:
    """Return the largest number of pairs of blocks for a limit."""
    return max(FIRST_PAIRS, int(seconds / (2 * THROUGHPUT_BLOCK_SECONDS)))


def _block(
    side: SystemUnderTest, samples: int, batch: int, seed: int, look: Callable[[], Reading], meter: Meter | None
) -> Rate:
    before = look()
    side.answer_batch([0] * batch)
    used = meter.read() if meter else None
    result = loadgen.offline(
        side.answer_batch,
        samples=side.samples,
        queries=samples,
        batch=batch,
        seed=seed,
        sequential=side.sequential,
    )
    joules = meter.since(used) if meter else None
    answered = samples * side.samples_each
    noise = noise_between(before, look())
    least, most = _seconds(result, noise)
    return Rate(
        measured=answered / result.seconds,
        least=answered / most,
        most=answered / least,
        joules=None if joules is None else joules / answered,
        noise=noise,
    )


def _seconds(result: Offline, noise: Noise) -> tuple[float, float]:
    """Return the bounds of a block's seconds on a machine without other processes."""
    most = result.seconds if noise.throttled_periods else result.seconds - result.taken_least
    lost = noise.lost if result.taken_most is None else min(result.taken_most + noise.uncounted, noise.lost)
    return max(1e-6, min(result.seconds - lost, most)), max(1e-6, most)


def _offline_samples(side: SystemUnderTest, batch: int, clock: Callable[[], float]) -> int:
    """Return the number of samples in a block: a multiple of the batch."""
    before = clock()
    side.answer_batch([0] * batch)
    side.answer_batch([0] * batch)
    seconds = (clock() - before) / 2
    return batch * max(1, round(THROUGHPUT_BLOCK_SECONDS / max(seconds, 1e-6)))
