"""Effective settings of a job: its own or the defaults of its terms, capped by the limits of its terms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from compression_operator.records.reading import Raw, amount, seconds
from compressionjob.spec import DEFAULT_RETRIES

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Effective settings. ``ttl`` and ``deadline`` are in seconds; None means no limit."""

    retries: int
    ttl: float | None
    budget: float | None
    deadline: float | None
    max_interruptions: int | None


def settings_of(spec: Raw, status: Raw) -> JobSettings:
    """Return the effective settings of a job, from its spec and the terms in its status."""
    terms: Raw = status.get("terms") or {}
    defaults, limits = terms.get("defaults") or {}, terms.get("limits") or {}

    def value(name: str, read: Callable[[object], Number | None], otherwise: Number | None = None) -> Number | None:
        limit = read(limits.get(name))
        own = next((it for source in (spec, defaults) if (it := read(source.get(name))) is not None), otherwise)
        return own if limit is None else limit if own is None else min(own, limit)

    return JobSettings(
        retries=value("retries", _count, DEFAULT_RETRIES) or 0,
        ttl=value("ttl", seconds),
        budget=value("budget", amount),
        deadline=value("deadline", seconds),
        max_interruptions=value("maxInterruptions", _count),
    )


def _count(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None
