"""The objectives of an SLA: each limit with the name, the direction and the unit of the measured quantity."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from compressionjob.field_types import parse_duration, parse_quantity
from compressionjob.objectives import Sla
from compressionjob.serving import GOODPUT, LONGER, SERVING_NAMES, SHORTER
from compressionjob.trust_limits import DISTURBANCES

Direction = Literal["at most", "at least"]
Rate = Literal["samples per second", "requests per second"]
Unit = Literal["ratio", "score", "error", "seconds", "bytes", Rate, "cost per million samples"]

QUALITY_DROP: Final = "quality.drop"
QUALITY_SCORE: Final = "quality.score"
QUALITY_INCREASE: Final = "quality.increase"
QUALITY_ERROR: Final = "quality.error"
LATENCY: Final = "latency"
SPEEDUP: Final = "latency.speedup"
THROUGHPUT: Final = "throughput"
SIZE_RATIO: Final = "size.ratio"
SIZE: Final = "size"
MEMORY: Final = "memory"
MEMORY_RATIO: Final = "memory.ratio"
COST: Final = "cost.perMillion"
WORST_GROUP: Final = "fairness.worst"
GAP: Final = "fairness.gap"
GAP_INCREASE: Final = "fairness.gap.increase"
ROBUSTNESS: Final = "robustness"
"""Prefix of names such as robustness.noise.drop: noise, corruption or attack, then drop or score."""
ATTRIBUTIONS: Final = "attributions.agreement"
FLIPS: Final = "flips"
RECOVERY: Final = "recovery"

NAMES: Final = frozenset(
    {
        QUALITY_DROP, QUALITY_SCORE, QUALITY_INCREASE, QUALITY_ERROR, LATENCY, SPEEDUP, THROUGHPUT, SIZE_RATIO, SIZE,
        MEMORY, MEMORY_RATIO, COST, WORST_GROUP, GAP, GAP_INCREASE, ATTRIBUTIONS, FLIPS, RECOVERY, *SERVING_NAMES,
        *(f"{ROBUSTNESS}.{part}.{figure}" for part in DISTURBANCES for figure in ("drop", "score")),
    }
)  # fmt: skip
"""Every objective that this version knows."""


@dataclass(frozen=True)
class Objective:
    """One limit of an SLA: the measured quantity, the limit and its direction."""

    name: str
    limit: float
    direction: Direction
    unit: Unit


def objectives_of(sla: Sla) -> list[Objective]:
    """Return the limits of an SLA in the order of the report."""
    kinds = (_quality_objectives, _speed_objectives, _serving_objectives, _size_objectives, _trust_objectives)
    return [objective for kind in kinds for objective in kind(sla)]


def _quality_objectives(sla: Sla) -> Iterator[Objective]:
    if sla.quality:
        yield from _limit(QUALITY_DROP, sla.quality.max_drop, "at most", "score")
        yield from _limit(QUALITY_SCORE, sla.quality.min, "at least", "score")
        yield from _limit(QUALITY_INCREASE, sla.quality.max_increase, "at most", "ratio")
        yield from _limit(QUALITY_ERROR, sla.quality.max, "at most", "error")
    if sla.recovery:
        yield from _limit(RECOVERY, sla.recovery.min, "at least", "ratio")


def _speed_objectives(sla: Sla) -> Iterator[Objective]:
    if sla.latency:
        longest = None if sla.latency.max is None else parse_duration(sla.latency.max)
        yield from _limit(LATENCY, longest, "at most", "seconds")
        yield from _limit(SPEEDUP, sla.latency.min_speedup, "at least", "ratio")
    if sla.throughput:
        yield from _limit(THROUGHPUT, sla.throughput.min, "at least", "samples per second")


def _serving_objectives(sla: Sla) -> Iterator[Objective]:
    for name, limit in sla.served_latencies().items():
        longest = None if limit.max is None else parse_duration(limit.max)
        yield from _limit(name, longest, "at most", "seconds")
        yield from _limit(f"{name}.ratio", limit.max_ratio, "at most", "ratio")
    if sla.goodput:
        yield from _limit(GOODPUT, sla.goodput.min, "at least", "requests per second")
        yield from _limit(f"{GOODPUT}.ratio", sla.goodput.min_ratio, "at least", "ratio")
    if sla.output_length:
        yield from _limit(SHORTER, sla.output_length.min_ratio, "at least", "ratio")
        yield from _limit(LONGER, sla.output_length.max_ratio, "at most", "ratio")


def _size_objectives(sla: Sla) -> Iterator[Objective]:
    if sla.size:
        yield from _limit(SIZE_RATIO, sla.size.max_ratio, "at most", "ratio")
        yield from _limit(SIZE, None if sla.size.max is None else parse_quantity(sla.size.max), "at most", "bytes")
    if sla.memory:
        yield from _limit(
            MEMORY, None if sla.memory.max is None else parse_quantity(sla.memory.max), "at most", "bytes"
        )
        yield from _limit(MEMORY_RATIO, sla.memory.max_ratio, "at most", "ratio")
    if sla.cost:
        yield from _limit(COST, sla.cost.max_per_million, "at most", "cost per million samples")


def _trust_objectives(sla: Sla) -> Iterator[Objective]:
    fairness = sla.fairness
    if fairness:
        unit: Unit = "error" if fairness.is_error else "score"
        yield from _limit(WORST_GROUP, fairness.min_worst, "at least", unit)
        yield from _limit(WORST_GROUP, fairness.max_worst, "at most", unit)
        yield from _limit(GAP, fairness.max_gap, "at most", unit)
        yield from _limit(GAP_INCREASE, fairness.max_gap_increase, "at most", unit)
    for name, limit in (sla.robustness.parts() if sla.robustness else {}).items():
        yield from _limit(f"{ROBUSTNESS}.{name}.drop", limit.max_drop, "at most", "score")
        yield from _limit(f"{ROBUSTNESS}.{name}.score", limit.min, "at least", "score")
    if sla.attributions:
        yield from _limit(ATTRIBUTIONS, sla.attributions.min_agreement, "at least", "score")
    if sla.flips:
        yield from _limit(FLIPS, sla.flips.max, "at most", "score")


def _limit(name: str, limit: float | None, direction: Direction, unit: Unit) -> Iterator[Objective]:
    """Yield the objective of a limit that is set."""
    if limit is not None:
        yield Objective(name, limit, direction, unit)
