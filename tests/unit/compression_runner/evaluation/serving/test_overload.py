"""Overload is a property of the server and its arrivals: a simulated server whose capacity is known."""

from dataclasses import replace

import numpy as np
import pytest

from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.serving.client import Answer
from compression_runner.evaluation.serving.load import Load, loaded_of
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.serving.serving import FEWEST, SETTLE, ServingPlan, size_serving
from compression_runner.evaluation.serving.serving_run import ServingRun
from compressionjob.estimate import UNBOUNDED_SECONDS

CONFIDENCE = 0.99
ALONE, SLOWDOWN = 3.5, 0.05
CAPACITY = 1 / (ALONE * SLOWDOWN)
"""Requests a second of a server whose requests take 3.5 s alone, and 5 % of it longer for each other one in flight."""
QUIET = Alone(ALONE, 0.0, ALONE)


def shared(load: Load, requests: int, seed: int) -> ServedBlock:
    """Return a block of that server, which begins without requests."""
    total = requests + 2 * load.settle
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / load.rate, total)).tolist()
    ends: list[float] = []
    due: list[float] = []  # the progress at which each request ends; all advance alike, so they end in order
    now = progress = 0.0
    while len(ends) < total:
        flying = len(due) - len(ends)
        pace = 1 / (ALONE * (1 + SLOWDOWN * (flying - 1))) if flying else 0.0
        end = now + (due[len(ends)] - progress) / pace if flying else np.inf
        arrival = arrivals[len(due)] if len(due) < total else np.inf
        progress += (min(end, arrival) - now) * pace
        now = min(end, arrival)
        if arrival < end:
            due.append(progress + 1.0)
        else:
            ends.append(now)
    answers = [Answer(0, at, at, [end - 1e-9, end], end) for at, end in zip(arrivals, ends, strict=True)]
    return ServedBlock(loaded_of(load, answers, requests), 2)


def run_at(utilization: float, seed: int, pairs: int = 8, seconds: float = 3600.0) -> ServingRun:
    """Return a run as the runner sizes it, after a trial."""
    load = Load(rate=utilization * CAPACITY)
    first = int(np.ceil(SETTLE * load.rate * ALONE))
    trial = shared(replace(load, settle=first), FEWEST, 1000 * seed + 999)
    plan = ServingPlan(load, 0.9, CONFIDENCE, seconds)
    sizing = size_serving(plan, [ALONE, ALONE], 0.0, trial.loaded.in_flight)
    blocks = [shared(replace(load, settle=sizing.settle), sizing.requests, 1000 * seed + pair) for pair in range(pairs)]
    return ServingRun(True, [(block, block) for block in blocks], alone=(QUIET, QUIET))


def slotted(load: Load, requests: int, seed: int, slots: int = 4) -> ServedBlock:
    """Return a block of a server that answers `slots` requests at a time, each for 3.5 s on average, in their order."""
    generator = np.random.default_rng(seed)
    free, answers = [0.0] * slots, []
    for arrival in np.cumsum(generator.exponential(1 / load.rate, requests + 2 * load.settle)).tolist():
        end = max(arrival, min(free)) + float(generator.exponential(ALONE))
        free[free.index(min(free))] = end
        answers.append(Answer(0, arrival, arrival, [end - 1e-9, end], end))
    return ServedBlock(loaded_of(load, answers, requests), 2)


def falls_behind(run: ServingRun) -> bool:
    estimate = run.latency(1, "endToEnd", "p50", CONFIDENCE)
    goodput = run.goodput(1, [[~block.failed for block in run.blocks(side)] for side in (0, 1)], CONFIDENCE)
    assert estimate is not None
    assert (estimate.low == UNBOUNDED_SECONDS) == (goodput.high == 0.0)
    return goodput.high == 0.0


@pytest.mark.parametrize("utilization", [0.5, 0.7, 0.9, 0.97])
@pytest.mark.parametrize(("pairs", "seconds"), [(8, 3600.0), (8, 900.0), (60, 900.0)])
def test_a_stable_server_never_falls_behind(utilization: float, pairs: int, seconds: float) -> None:
    runs = [run_at(utilization, seed, pairs, seconds) for seed in range(160 // pairs)]
    assert not any(map(falls_behind, runs))


@pytest.mark.parametrize("utilization", [0.5, 0.9, 0.97])
def test_a_stable_server_with_a_queue_never_falls_behind(utilization: float) -> None:
    load = Load(rate=utilization * 4 / ALONE, settle=8)
    for first in range(0, 600, 30):
        blocks = [slotted(load, 48, first + pair) for pair in range(30)]
        assert not falls_behind(ServingRun(True, [(block, block) for block in blocks], alone=(QUIET, QUIET)))


@pytest.mark.parametrize("seconds", [3600.0, 900.0])
def test_a_server_with_more_arrivals_than_it_can_answer_falls_behind(seconds: float) -> None:
    assert all(falls_behind(run_at(1.5, seed, seconds=seconds)) for seed in range(10))


def test_a_server_at_half_of_its_capacity_has_an_upper_bound() -> None:
    highs = []
    for seed in range(10):
        estimate = run_at(0.5, seed, pairs=40).latency(1, "endToEnd", "p50", CONFIDENCE)
        assert estimate is not None
        highs.append(estimate.high)
    assert sum(high < UNBOUNDED_SECONDS for high in highs) >= 8


def test_noise_may_be_why_a_server_falls_behind() -> None:
    noise = Noise(10.0, 20.0, 10.0, 0.0, 9.0, 0.5, None, None, None, None, 0.0, 9.0)
    run = run_at(1.5, 0)
    noisy = ServingRun(
        True, [(replace(a, noise=noise), replace(b, noise=noise)) for a, b in run.pairs], alone=run.alone
    )
    assert falls_behind(run)
    assert not falls_behind(noisy)
