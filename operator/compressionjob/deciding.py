"""What would decide limits that were left open: a longer benchmark, or more samples."""

from collections.abc import Collection, Sequence
from typing import Final

from compressionjob.schema import format_duration
from compressionjob.sla import COST, LATENCY, MEMORY, MEMORY_RATIO, SPEEDUP, THROUGHPUT, ObjectiveResult

TIME_LIMIT: Final = "spec.benchmark.timeLimit"
SAMPLES: Final = "spec.data.evaluation.limit"


def more_seconds(objectives: Sequence[ObjectiveResult]) -> float:
    """Return how much longer the benchmark must be to decide the limits that time decides; 0 where none is open."""
    # Throughput is measured after latency, in the time that is left.
    return _longest(objectives, (LATENCY, SPEEDUP)) + _longest(objectives, (THROUGHPUT, COST))


def more_samples(objectives: Sequence[ObjectiveResult]) -> int:
    """Return how many more evaluation samples would decide the limits on quality; 0 where none is open."""
    return max((item.more_samples or 0 for item in objectives), default=0)


def remedy_of(verdict: str, objectives: Sequence[ObjectiveResult]) -> str:
    """Return what to do about a verdict that is no Pass, for somebody who has the manifest at hand; "" for a Pass."""
    if verdict == "Fail":
        return "see the report, then change the pipeline or the limits"
    if verdict != "Inconclusive":
        return ""
    seconds, samples = more_seconds(objectives), more_samples(objectives)
    ways = [f"add about {format_duration(seconds)} to {TIME_LIMIT}"] if seconds else []
    ways += [f"add about {samples:,} samples to {SAMPLES}"] if samples else []
    return " and ".join(ways) or f"try {' or '.join(_to_try(objectives))}"


def _to_try(objectives: Sequence[ObjectiveResult]) -> list[str]:
    """Return what may decide the open limits where no figure says how much more of it is needed."""
    names = {item.name for item in objectives if item.verdict == "Inconclusive"}
    timed, memory = names & {LATENCY, SPEEDUP, THROUGHPUT, COST}, names & {MEMORY, MEMORY_RATIO}
    ways = ["a machine without other work", f"a longer {TIME_LIMIT}"] if timed else []
    ways += [f"a larger {SAMPLES}"] if names - timed - memory else []
    return ways or ["a limit further from the measured value"]


def _longest(objectives: Sequence[ObjectiveResult], names: Collection[str]) -> float:
    return max((item.more_seconds or 0.0 for item in objectives if item.name in names), default=0.0)
