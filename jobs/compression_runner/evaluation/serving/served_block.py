"""One load on one server, and the latencies of its requests. A request that failed has an unbounded latency."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.serving.client import Answer
from compression_runner.evaluation.serving.load import Loaded
from compressionjob.estimate import UNBOUNDED_SECONDS

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Alone:
    """Seconds of requests without a load: the median request, its time to the first token, and its gap."""

    seconds: float
    ttft: float
    gap: float

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Alone":
        """Return the medians of whole answers, of which there is at least one."""
        gaps = [float(time_per_output_token(answer, 0)[0]) for answer in answers if len(answer.tokens) > 1]
        return cls(
            float(np.median([answer.done - answer.sent for answer in answers])),
            float(np.median([answer.tokens[0] - answer.sent for answer in answers])),
            float(np.median(gaps)) if gaps else 0.0,
        )


@dataclass(frozen=True)
class ServedBlock:
    """The measured requests of one load, whose answers have at most `longest` tokens, and the noise during it.

    `joules` is the energy of the GPU during the whole load; None if it is unknown.
    """

    loaded: Loaded
    longest: int
    noise: Noise | None = None
    joules: float | None = None

    @property
    def joules_per_token(self) -> float | None:
        """The energy of a token of the answers, that of reading prompts included; None if it is unknown."""
        return None if self.joules is None or not self.loaded.tokens else self.joules / self.loaded.tokens

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The measured requests, in the order of arrival."""
        return self.loaded.answers

    def by_request(self, name: str) -> list[Seconds]:
        """Return the seconds of a latency of each request: one value, of interToken one for each gap.

        A request with one token has no gap, and no time per output token.
        """
        return [LATENCY_OF[name](answer, self.longest) for answer in self.answers]

    def seconds(self, name: str) -> Seconds:
        """Return all values of a latency."""
        return np.concatenate(self.by_request(name))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each answer."""
        return np.array([len(answer.tokens) for answer in self.answers], dtype=np.int64)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Whether each request failed."""
        return np.array([bool(answer.error) for answer in self.answers], dtype=np.bool_)

    def utilization(self, alone: Alone) -> float:
        """Return a lower bound of the arrival rate divided by the highest rate that the server can answer.

        If each further request in flight delays the others by at least as much as the one before it, as on engines
        that batch, the server never answers more than one request in the time by which one delays the others. That time
        is the latency above that of a request alone, divided by the number of others in flight. The number varies
        during a request, which makes the bound lower. It is 0 if fewer than one other was in flight.
        """
        whole = ~self.failed
        if not whole.any():
            return 0.0
        latency = np.array([answer.tokens[-1] - answer.arrival for answer in self.answers if not answer.error])
        delay = float((latency - alone.ttft - alone.gap * (self.lengths[whole] - 1)).mean())
        others = float(self.loaded.beside[whole].mean()) - 1.0
        return self.loaded.rate * max(0.0, delay) / others if others >= 1.0 else 0.0


def ttft(answer: Answer, _longest: int) -> Seconds:
    """Return the time to the first token, shape (1,)."""
    return _of(answer, lambda: [answer.tokens[0] - answer.arrival])


def end_to_end(answer: Answer, _longest: int) -> Seconds:
    """Return the time to the last token, shape (1,)."""
    return _of(answer, lambda: [answer.tokens[-1] - answer.arrival])


def time_per_output_token(answer: Answer, _longest: int) -> Seconds:
    """Return the mean gap between tokens, shape (1,) or (0,), as MLPerf Inference defines TPOT."""
    gaps = len(answer.tokens) - 1
    return _of(answer, lambda: [(answer.tokens[-1] - answer.tokens[0]) / gaps] if gaps > 0 else [])


def inter_token(answer: Answer, longest: int) -> Seconds:
    """Return every gap between tokens; those that a failed request still lacks are unbounded."""
    gaps = np.diff(np.array(answer.tokens, dtype=np.float64))
    missing = max(1, longest - 1 - len(gaps)) if answer.error else 0
    return np.concatenate([gaps, np.full(missing, UNBOUNDED_SECONDS)])


LATENCY_OF: Final[Mapping[str, Callable[[Answer, int], Seconds]]] = {
    "ttft": ttft,
    "interToken": inter_token,
    "timePerOutputToken": time_per_output_token,
    "endToEnd": end_to_end,
}
"""The latencies of a request, by the names of their limits."""


def _of(answer: Answer, value: Callable[[], Sequence[float]]) -> Seconds:
    return np.array([UNBOUNDED_SECONDS] if answer.error else value(), dtype=np.float64)
