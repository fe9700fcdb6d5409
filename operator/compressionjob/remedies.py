"""Remedies for a verdict that is not a Pass, such as a longer benchmark or more samples."""

from collections.abc import Collection, Sequence
from typing import Final

from compressionjob.field_types import format_duration
from compressionjob.serving import SERVING_NAMES
from compressionjob.sla_objectives import COST, LATENCY, MEMORY, MEMORY_RATIO, SPEEDUP, THROUGHPUT
from compressionjob.verdict import ObjectiveResult

TIME_LIMIT: Final = "spec.benchmark.timeLimit"
SAMPLES: Final = "spec.data.evaluation.limit"
TIMED: Final = frozenset({LATENCY, SPEEDUP, THROUGHPUT, COST}) | SERVING_NAMES
"""Limits that more time decides."""


def more_seconds(objectives: Sequence[ObjectiveResult]) -> float:
    """Return by how much to raise the time limit to decide the open limits on speed; 0 where none is open."""
    # Throughput is measured after latency, in the time that is left; served requests are measured after both.
    parts = (LATENCY, SPEEDUP), (THROUGHPUT, COST), SERVING_NAMES
    return sum(_longest(objectives, names) for names in parts)


def more_samples(objectives: Sequence[ObjectiveResult]) -> int:
    """Return how many more evaluation samples would decide the open limits on quality; 0 where none is open."""
    return max((item.more_samples or 0 for item in objectives), default=0)


def remedy_of(verdict: str, objectives: Sequence[ObjectiveResult]) -> str:
    """Return the remedy for a verdict that is not a Pass, in terms of the manifest; "" for a Pass."""
    if verdict == "Fail":
        return "see the report, then change the pipeline or the limits"
    if verdict != "Inconclusive":
        return ""
    seconds, samples = more_seconds(objectives), more_samples(objectives)
    ways = [f"add about {format_duration(seconds)} to {TIME_LIMIT}"] if seconds else []
    ways += [f"add about {samples:,} samples to {SAMPLES}"] if samples else []
    return " and ".join(ways) or f"try {' or '.join(_other_remedies(objectives))}"


def _other_remedies(objectives: Sequence[ObjectiveResult]) -> list[str]:
    """Return remedies for open limits without an estimate of the time or samples that they need."""
    names = {item.name for item in objectives if item.verdict == "Inconclusive"}
    timed, memory = names & TIMED, names & {MEMORY, MEMORY_RATIO}
    ways = ["a machine without other work", f"a longer {TIME_LIMIT}"] if timed else []
    ways += [f"a larger {SAMPLES}"] if names - timed - memory else []
    return ways or ["a limit further from the measured value"]


def _longest(objectives: Sequence[ObjectiveResult], names: Collection[str]) -> float:
    return max((item.more_seconds or 0.0 for item in objectives if item.name in names), default=0.0)
