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
        self._done = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[float], None]]:
        """Time a phase; yields a callback that takes the share of the phase that is done."""
        start = time.monotonic()

        def advance(share: float) -> None:
            if self._advance:
                self._advance(name, min(1.0, self._done + share * self._shares[name]))

        advance(0.0)
        yield advance
        self.seconds[name] = round(time.monotonic() - start, 3)
        self._done += self._shares[name]
        advance(0.0)


def shares_of(spec: CompressionJobSpec) -> Mapping[str, float]:
    """Return the share of each phase that the job has."""
    if not requests_trust(spec):
        return SHARES
    return {**{name: share * (1 - TRUST_SHARE) for name, share in SHARES.items()}, TRUST: TRUST_SHARE}
