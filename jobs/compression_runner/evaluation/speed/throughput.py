"""Throughput of two models in turn, when all samples are there at once (MLPerf Offline), and the energy of a sample."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final

import numpy as np

from compression_runner.evaluation.machine.energy import EnergyMeter
from compression_runner.evaluation.machine.noise import Noise, Reading, noise_between, read_noise, reason_of
from compression_runner.evaluation.speed import loadgen
from compression_runner.evaluation.speed.scenario import Contender
from compression_runner.evaluation.statistics.block_bootstrap import mean_interval
from compressionjob.estimate import Estimate

THROUGHPUT_PAIRS: Final = 6
MOST_PAIRS: Final = 12
"""On a noisy machine up to so many pairs of blocks are run, until THROUGHPUT_PAIRS were quiet."""
THROUGHPUT_BLOCK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Rate:
    """One block of one model: samples a second, joules of a sample (None where nothing tells), and the noise."""

    samples_per_second: float
    joules: float | None
    noise: Noise


@dataclass
class ThroughputRun:
    """The pairs of blocks that count; `disturbed` when there were not enough in which nobody took time away."""

    confidence: float
    pairs: list[tuple[Rate, Rate]] = field(default_factory=list)
    disturbed: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def noise(self) -> Noise:
        """What happened while the blocks ran that count."""
        return reduce(add, [block.noise for pair in self.pairs for block in pair])

    def rate(self, side: int) -> Estimate:
        """Return samples a second of the baseline (0) or the compressed model (1), as this machine was."""
        found = mean_interval([pair[side].samples_per_second for pair in self.pairs], self.confidence)
        return found.model_copy(update={"low": max(0.0, found.low)})

    def rate_verdict(self) -> Estimate:
        """Return what a limit is judged by: noise only takes from a rate, so the lower bound stands."""
        found = self.rate(1)
        if not self.disturbed:
            return found
        noise = reduce(add, [pair[1].noise for pair in self.pairs])
        left = max(1e-6, 1.0 - noise.lost / max(noise.elapsed, 1e-9))
        return found.model_copy(update={"high": found.high / left, "reason": reason_of(self.noise)})

    def energy(self, side: int) -> Estimate | None:
        """Return joules of a sample, None where the machine does not tell."""
        found = [pair[side].joules for pair in self.pairs]
        known = [joules for joules in found if joules is not None]
        if len(known) < max(2, len(found)):
            return None
        joules = mean_interval(known, self.confidence)
        return joules.model_copy(update={"low": max(0.0, joules.low)})

    def quiet_pairs(self) -> list[tuple[Rate, Rate]]:
        """Return the pairs of blocks during which the machine was this process's."""
        return [pair for pair in self.pairs if not any(block.noise.disturbed for block in pair)]


def measure_throughput(
    baseline: Contender,
    compressed: Contender,
    batch: int,
    confidence: float,
    seconds: float,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    look: Callable[[], Reading] = read_noise,
    meter: EnergyMeter | None = None,
) -> ThroughputRun:
    """Return samples per second of both models when all samples are there at once (MLPerf Offline), interleaved.

    Disturbed pairs of blocks are run again as long as there is time, two are run in any case.
    """
    start = clock()
    run = ThroughputRun(confidence)
    sides = (baseline, compressed)
    counts = [_offline_samples(side, batch, clock) for side in sides]
    generator = np.random.default_rng(0)
    while len(run.pairs) < MOST_PAIRS and len(run.quiet_pairs()) < THROUGHPUT_PAIRS:
        done = len(run.pairs)
        if done >= 2 and clock() - start > seconds:
            break
        found = {i: _block(sides[i], counts[i], batch, done + 1, look, meter) for i in generator.permutation(2)}
        run.pairs.append((found[0], found[1]))
        if advance:
            advance(min(1.0, (done + 1) / THROUGHPUT_PAIRS))
    _leave_out_disturbed(run)
    return run


def _block(
    side: Contender, samples: int, batch: int, seed: int, look: Callable[[], Reading], meter: EnergyMeter | None
) -> Rate:
    before = look()
    side.answer_batch([0] * batch)
    used = meter.read() if meter else None
    rate = loadgen.offline(side.answer_batch, samples=side.samples, queries=samples, batch=batch, seed=seed)
    joules = meter.since(used) if meter and used else None
    answered = samples * side.samples_each
    noise = noise_between(before, look())
    return Rate(rate * side.samples_each, None if joules is None else joules / answered, noise)


def _leave_out_disturbed(run: ThroughputRun) -> None:
    quiet = run.quiet_pairs()
    disturbed = len(run.pairs) - len(quiet)
    if not disturbed:
        return
    if len(quiet) >= THROUGHPUT_PAIRS:
        run.notes.append(f"{disturbed} of {len(run.pairs)} pairs of throughput blocks were disturbed, and do not count")
        run.pairs = quiet
        return
    run.disturbed = True


def _offline_samples(side: Contender, batch: int, clock: Callable[[], float]) -> int:
    """Return how many samples fill a block: a multiple of the batch."""
    before = clock()
    side.answer_batch([0] * batch)
    side.answer_batch([0] * batch)
    seconds = (clock() - before) / 2
    return batch * max(1, round(THROUGHPUT_BLOCK_SECONDS / max(seconds, 1e-6)))
