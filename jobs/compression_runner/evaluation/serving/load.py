"""Put a server under load: random arrivals (Poisson), or a constant number of requests at a time.

LoadGen issues the requests: it draws the prompts, and in the Server scenario it schedules the arrivals and times each
request from its scheduled arrival to its end, so a request that is sent late counts as late. Its token latencies know
the first token of a request and the number of tokens, and not the gaps between them; so the moments of tokens are the
client's, and the ends of the requests join both clocks. LoadGen has no scenario with a constant number of requests at
a time: there it issues all of them at once (Offline), and the client sends the next one when one ends.

A load begins with `settle` requests that let the server fill, and ends with as many that keep it full until the last
measured request has ended. Neither counts.

With a constant number of requests at a time, a slow server could take any time for its requests. So such a load ends
early, after its `seconds` or after several requests in a row that took too long. All requests that were sent until then
count, with their whole latency, and those that were not sent do not.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import mlperf_loadgen
import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.serving.client import CANCELLED, Answer, Client
from compression_runner.evaluation.speed import loadgen

MORE_LATE: Final = 5
"""A load ends after so many more late requests in a row than it has at a time."""


@dataclass(frozen=True)
class Load:
    """Arrivals per second (0 without), or requests at a time (0 without); `settle` requests before and after.

    `seconds` is the most time for requests at a time: later ones are not sent.
    """

    rate: float = 0.0
    concurrency: int = 0
    settle: int = 0
    seconds: float = math.inf

    @property
    def at_random(self) -> bool:
        """Whether requests arrive independently of answers."""
        return self.rate > 0


@dataclass(frozen=True)
class Loaded:
    """The measured requests of a load, in order; fewer than planned if it ended early.

    `rate` is the requests a second, `in_flight` the mean number at a time.

    `growth` is how many more requests were in flight when the last measured request arrived than when the first did,
    as a share of the measured requests. It is 0 on average if the server is stable and the load has settled.

    `tokens` is the number of tokens of all answers, also of those that do not count.

    `beside` is the mean number in flight while each measured request was, itself included, shape (requests,).
    """

    answers: tuple[Answer, ...]
    rate: float
    in_flight: float
    growth: float
    beside: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    tokens: int = 0


def run_load(client: Client, load: Load, prompts: int, requests: int, seed: int) -> Loaded:
    """Send `requests` measured requests, and return them. Raises LoadGenError."""
    issued = _Issued(client, load, requests)
    if not load.at_random and load.seconds < math.inf:
        client.call_later(load.seconds, issued.shorten)
    total = requests + 2 * load.settle
    name = mlperf_loadgen.TestScenario.Server if load.at_random else mlperf_loadgen.TestScenario.Offline
    settings = loadgen.settings_for(name, total, seed)
    if load.at_random:
        settings.server_target_qps = load.rate
    samples = loadgen.run_test(issued.issue, settings, prompts)
    if len(samples) != total:
        raise loadgen.LoadGenError(f"LoadGen recorded {len(samples)} of {total} requests")
    if load.at_random:
        issued.schedule(samples)
    return loaded_of(load, issued.answers, issued.requests)


@dataclass
class _Issued:
    """The requests that LoadGen has issued."""

    client: Client
    load: Load
    requests: int
    answers: list[Answer] = field(default_factory=list)
    waiting: deque[tuple[Answer, Callable[[Answer], None]]] = field(default_factory=deque)
    ended: int = 0
    """Measured requests that have ended."""
    sent: int = 0
    late: int = 0
    """Requests in a row that took too long, until now."""

    def issue(self, queries: list[Any]) -> None:
        """Take queries of LoadGen; called in its thread."""
        now = time.perf_counter()
        for query in queries:
            answer = Answer(int(query.index), now)
            done = self._done(len(self.answers), int(query.id))
            self.answers.append(answer)
            self.waiting.append((answer, done))
        for _ in range(len(queries) if self.load.at_random else self.load.concurrency):
            self.client.call(self._send_next)

    def _done(self, number: int, query: int) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            # LoadGen's clock and this one are read together, in one thread.
            answer.done = time.perf_counter()
            mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(query, 0, 0, len(answer.tokens))])
            self.late = self.late + 1 if answer.late else 0
            self.ended += self.load.settle <= number < self.load.settle + self.requests
            if self.ended == self.requests:
                self.client.cancel()
            if not self.load.at_random:
                if self.late == self.load.concurrency + MORE_LATE:
                    self.shorten()
                self.client.call(self._send_next)

        return done

    def shorten(self) -> None:
        """Measure no more requests than have been sent, and at least as many as at a time; in the client's thread."""
        if self.ended < self.requests:
            self.requests = min(self.requests, max(self.sent - self.load.settle, self.load.concurrency))
            if self.ended == self.requests:
                self.client.cancel()

    def _send_next(self) -> None:
        """Send the next request; called in the client's thread. End it if all measured requests have ended."""
        if not self.waiting:
            return
        answer, done = self.waiting.popleft()
        if not self.load.at_random:
            answer.arrival = time.perf_counter()
        if self.ended < self.requests:
            self.sent += 1
            self.client.send(answer, done)
        else:
            answer.error = CANCELLED
            done(answer)

    def schedule(self, samples: "np.ndarray[Any, np.dtype[np.int64]]") -> None:
        """Set the arrival of each request to the moment at which LoadGen scheduled it.

        Each request has ended by both clocks at nearly the same time: by LoadGen's a little later, as much later as
        the machine was busy between the two readings. So the request with the least difference joins the clocks.
        """
        ordered = samples[np.argsort(samples[:, 0])]
        scheduled, latency = (ordered[:, column] * loadgen.NANOSECONDS for column in (1, 3))
        began = np.max([answer.done for answer in self.answers] - scheduled - latency)
        for answer, moment in zip(self.answers, scheduled, strict=True):
            answer.arrival = float(began + moment)


def loaded_of(load: Load, answers: Sequence[Answer], requests: int) -> Loaded:
    """Return the measured requests of all answers to a load, which are in the order of their arrivals."""
    first, last = load.settle, load.settle + requests
    measured = tuple(answers[first:last])
    arrivals = np.array([answer.arrival for answer in answers])
    ends = np.array([answer.done for answer in answers])

    def in_flight(moment: float) -> int:
        return int(np.count_nonzero(arrivals <= moment) - np.count_nonzero(ends <= moment))

    def until(moment: float) -> float:
        """Return the seconds that all requests together were in flight until a moment."""
        return float(np.maximum(0.0, moment - arrivals).sum() - np.maximum(0.0, moment - ends).sum())

    began, ended = measured[0].arrival, measured[-1].arrival
    following = answers[last].arrival if last < len(answers) else max(answer.done for answer in measured)
    rate = load.rate or requests / max(following - began, 1e-9)
    growth = (in_flight(ended) - in_flight(began)) / requests if load.at_random else 0.0
    seconds = np.array([answer.done - answer.arrival for answer in measured])
    together = np.array([until(answer.done) - until(answer.arrival) for answer in measured])
    tokens = sum(len(answer.tokens) for answer in answers)
    return Loaded(measured, rate, float(seconds.mean()) * rate, growth, together / np.maximum(seconds, 1e-9), tokens)
