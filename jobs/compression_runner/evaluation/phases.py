"""The phases of an evaluation: how long each took, and the progress over all of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from compression_runner.evaluation.request import requests_trust
from compressionjob.spec import CompressionJobSpec

Advance = Callable[[str, float], None]
"""Takes the phase that runs and the share of all measuring that is done."""

SHARES: Final = {
    "evaluate baseline": 0.15,
    "evaluate compressed": 0.10,
    "latency": 0.50,
    "throughput": 0.20,
    "memory": 0.05,
}
"""Rough shares of the phases in the time of all measuring, for progress."""
TRUST: Final = "trust"
TRUST_SHARE: Final = 0.50
"""What trust takes of the time of all measuring, roughly, where it is asked for."""


class Stopwatch:
    """Seconds by phase, and the progress of all measuring."""

    def __init__(self, advance: Advance | None, shares: Mapping[str, float]) -> None:
        self.seconds: dict[str, float] = {}
        self._advance = advance
        self._shares = shares
        self._done: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, portion: float = 1.0) -> Iterator[Callable[[float], None]]:
        """Time a phase, or a portion of it; yields a callback that takes the share of that which is done."""
        start = time.monotonic()
        before = self._done.get(name, 0.0)

        def advance(share: float) -> None:
            self._tell(name, before + share * portion)

        advance(0.0)
        yield advance
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 3)
        self._tell(name, before + portion)

    def end(self, *names: str) -> None:
        """Take phases as done whose other portions are not needed."""
        for name in names:
            self._tell(name, 1.0)

    def _tell(self, name: str, done: float) -> None:
        self._done[name] = min(1.0, done)
        if self._advance:
            self._advance(name, min(1.0, sum(share * self._shares[phase] for phase, share in self._done.items())))


def shares_of(spec: CompressionJobSpec) -> Mapping[str, float]:
    """Return the share of each phase that the job has."""
    if not requests_trust(spec):
        return SHARES
    return {**{name: share * (1 - TRUST_SHARE) for name, share in SHARES.items()}, TRUST: TRUST_SHARE}
