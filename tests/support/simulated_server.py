"""A simulated server of requests, whose highest rate within a limit is known from a long simulation."""

from dataclasses import dataclass

import numpy as np

from compression_runner.evaluation.serving.client import Answer
from compression_runner.evaluation.serving.load import Load, loaded_of
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock


@dataclass
class SimulatedServer:
    """Answers `slots` requests at a time, each for a Gamma time of this mean; a first token after a tenth of it."""

    slots: int
    seconds: float
    clock: float = 0.0

    @property
    def alone(self) -> Alone:
        """The times of a request without a load."""
        return Alone(self.seconds, self.seconds / 10, self.seconds * 9 / 10)

    def answers(self, rate: float, count: int, seed: int) -> list[Answer]:
        """Return requests that arrive at random at a server without requests, in their order."""
        generator = np.random.default_rng(seed)
        arrivals = np.cumsum(generator.exponential(1.0 / rate, count)).tolist()
        times = (generator.gamma(4.0, self.seconds / 4.0, count)).tolist()
        free, answers = [0.0] * self.slots, []
        for arrival, seconds in zip(arrivals, times, strict=True):
            slot = min(range(self.slots), key=free.__getitem__)
            start = max(arrival, free[slot])
            free[slot] = end = start + seconds
            answers.append(Answer(0, arrival, arrival, [start + seconds / 10, end], end))
        return answers

    def block(self, load: Load, requests: int, seed: int) -> ServedBlock:
        """Return a block of that load; the clock advances by its time."""
        answers = self.answers(load.rate, requests + 2 * load.settle, seed)
        self.clock += max(answer.done for answer in answers[: load.settle + requests])
        return ServedBlock(loaded_of(load, answers, requests), 2)

    def highest_rate(self, quantile: float, limit: float, count: int = 60_000) -> float:
        """Return the rate at which this quantile of the time to the first token reaches the limit, in seconds."""
        low, high = 0.05 * self.slots / self.seconds, self.slots / self.seconds
        for _ in range(12):
            rate = (low + high) / 2
            waits = [answer.tokens[0] - answer.arrival for answer in self.answers(rate, count, 1)]
            low, high = (rate, high) if np.quantile(waits, quantile) <= limit else (low, rate)
        return (low + high) / 2
