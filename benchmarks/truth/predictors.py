"""Predictors of known latency, in seconds of CPU time, and answers of known quality."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.speed import loadgen
from compression_runner.evaluation.speed.scenario import SystemUnderTest

SAMPLES = 16
CALIBRATION_QUERIES = 3000


@dataclass(frozen=True)
class Service:
    """A query takes `least` seconds plus an exponential time of mean `mean`, all times `factor`."""

    least: float
    mean: float
    factor: float = 1.0

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """Return the seconds of CPU time of `count` queries."""
        return self.factor * (self.least + self.mean * generator.standard_exponential(count))

    def percentile(self, quantile: float) -> float:
        """Return the true percentile."""
        return self.factor * (self.least - self.mean * math.log(1.0 - quantile))


def predictor(service: Service, seed: int) -> SystemUnderTest:
    """Return a model that works for random times, which are its latencies on a quiet machine."""
    durations = iter(service.draw(200_000, np.random.default_rng(seed)).tolist())

    def work() -> None:
        end = time.thread_time() + next(durations)
        while time.thread_time() < end:
            pass

    def answer_batch(indices: Sequence[int]) -> None:
        for _ in indices:
            work()

    return SystemUnderTest(lambda _query: work(), answer_batch, SAMPLES, SAMPLES, sequential=True)


def overhead(service: Service) -> float:
    """Return the seconds that LoadGen and the clock add to a query: the median difference from the drawn times."""
    drawn = service.draw(CALIBRATION_QUERIES, np.random.default_rng(0))
    side = predictor(service, 0)
    recorded = loadgen.single_stream(
        lambda indices: side.answer(indices[0]), samples=SAMPLES, queries=CALIBRATION_QUERIES
    )
    return float(np.median(recorded.latency - drawn))


def queue_percentile(service: Service, added: float, rate: float, quantile: float, arrivals: int = 4_000_000) -> float:
    """Return the percentile of the time from random arrivals to answers, by Lindley's recursion."""
    generator = np.random.default_rng(1)
    taken = service.draw(arrivals, generator) + added
    between = generator.standard_exponential(arrivals) / rate
    steps = np.concatenate([[0.0], np.cumsum(taken[:-1] - between[1:])])
    waiting = steps - np.minimum.accumulate(steps)
    return float(np.quantile((waiting + taken)[arrivals // 100 :], quantile))


def answers_with(
    lost: float, count: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return scores of two classifiers, shape (count, 4), and labels: 90 % right, and less by `lost`."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    chance = generator.random(count)
    right = chance < 0.90
    still = right & (generator.random(count) >= (lost + 0.02) / 0.90)
    gained = ~right & (generator.random(count) < 0.02 / 0.10)
    return _scores(labels, right), _scores(labels, still | gained), labels


def _scores(labels: NDArray[np.int64], right: NDArray[np.bool_]) -> NDArray[np.float32]:
    chosen = np.where(right, labels, (labels + 1) % 4)
    return np.eye(4, dtype=np.float32)[chosen]
