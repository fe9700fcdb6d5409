"""The settings of a job that hold: its own, or the defaults of its terms, and never more than their limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from compression_operator.records.reading import Raw, amount, seconds
from compressionjob.spec import DEFAULT_RETRIES

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a job. ``ttl`` and ``deadline`` are in seconds; None means that nothing limits it."""

    retries: int
    ttl: float | None
    budget: float | None
    deadline: float | None
    max_interruptions: int | None


def settings_of(spec: Raw, status: Raw) -> Settings:
    """Return the settings that hold for a job, by its spec and the terms in its status."""
    terms: Raw = status.get("terms") or {}
    defaults, limits = terms.get("defaults") or {}, terms.get("limits") or {}

    def value(name: str, read: Callable[[object], Number | None], otherwise: Number | None = None) -> Number | None:
        limit = read(limits.get(name))
        own = next((it for source in (spec, defaults) if (it := read(source.get(name))) is not None), otherwise)
        return own if limit is None else limit if own is None else min(own, limit)

    return Settings(
        retries=value("retries", _count, DEFAULT_RETRIES) or 0,
        ttl=value("ttl", seconds),
        budget=value("budget", amount),
        deadline=value("deadline", seconds),
        max_interruptions=value("maxInterruptions", _count),
    )


def _count(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None
