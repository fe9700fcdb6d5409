"""Time the phases of an evaluation, and report the progress over all of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from compression_runner.evaluation.request import requests_trust
from compressionjob.spec import CompressionJobSpec

Advance = Callable[[str, float], None]
"""Takes the running phase and the share of the whole evaluation that is done."""

SHARES: Final = {
    "evaluate baseline": 0.15,
    "evaluate compressed": 0.10,
    "latency": 0.50,
    "throughput": 0.20,
    "memory": 0.05,
}
"""Rough shares of the phases in the time of an evaluation, for progress."""
TRUST: Final = "trust"
TRUST_SHARE: Final = 0.50
"""Rough share of trust measurements in the time of an evaluation that has them."""
RECOVERY: Final = "tasks"
RECOVERY_SHARE: Final = 0.40
"""Rough share of tasks in the time of an evaluation that has them."""
SERVING: Final = "serving"
SERVING_PROGRESS: Final = 0.70
"""Rough share of the serving engine in the time of an evaluation that has one."""


class Stopwatch:
    """Seconds by phase, and the progress of the evaluation."""

    def __init__(self, advance: Advance | None, shares: Mapping[str, float]) -> None:
        self.seconds: dict[str, float] = {}
        self._advance = advance
        self._shares = shares
        self._done: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, portion: float = 1.0) -> Iterator[Callable[[float], None]]:
        """Time a phase, or a portion of it; yield a callback that takes the share of the portion that is done."""
        start = time.monotonic()
        before = self._done.get(name, 0.0)

        def advance(share: float) -> None:
            self._report(name, before + share * portion)

        advance(0.0)
        yield advance
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 3)
        self._report(name, before + portion)

    def end(self, *names: str) -> None:
        """Mark phases as done, when their remaining portions are not needed."""
        for name in names:
            self._report(name, 1.0)

    def _report(self, name: str, done: float) -> None:
        self._done[name] = min(1.0, done)
        if self._advance:
            self._advance(name, min(1.0, sum(share * self._shares[phase] for phase, share in self._done.items())))


def shares_of(spec: CompressionJobSpec) -> Mapping[str, float]:
    """Return the share of each phase that the job has."""
    more = {
        TRUST: TRUST_SHARE if requests_trust(spec) else 0.0,
        RECOVERY: RECOVERY_SHARE if spec.data.tasks else 0.0,
    }
    more[SERVING] = SERVING_PROGRESS * (1 - sum(more.values())) if spec.benchmark.serving else 0.0
    left = 1 - sum(more.values())
    return {name: share * left for name, share in SHARES.items()} | {
        name: share for name, share in more.items() if share
    }
