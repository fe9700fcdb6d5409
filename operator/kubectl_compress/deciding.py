"""What would decide the limits that a job left open, as its status has it: a longer benchmark, or more samples."""

import math
from collections.abc import Collection
from typing import Final

from compressionjob import conditions
from compressionjob.data import EvaluationData
from compressionjob.schema import parse_duration
from compressionjob.sla import COST, LATENCY, SPEEDUP, THROUGHPUT
from compressionjob.spec import Benchmark
from kubectl_compress.job import Job

TIME_LIMIT: Final = "spec.benchmark.timeLimit"


def time_limit_that_decides(job: Job) -> str | None:
    """Return the value of spec.benchmark.timeLimit with which the limits that time decides would be decided, about.

    None where none of its limits is open, or where more time decides none of them.
    """
    # Throughput is measured after latency, in the time that is left.
    more = _seconds(job, (LATENCY, SPEEDUP)) + _seconds(job, (THROUGHPUT, COST))
    if job.reason != conditions.SLA_INCONCLUSIVE or not more:
        return None
    seconds = parse_duration(time_limit(job)) + more
    return f"{math.ceil(seconds / 60)}m" if seconds >= 60 else f"{math.ceil(seconds)}s"


def samples_that_decide(job: Job) -> int | None:
    """Return the number of evaluation samples with which the limits on quality would be decided, about."""
    more = max((item.more_samples or 0 for item in job.objectives), default=0)
    used = (job.spec.get("data") or {}).get("evaluation", {}).get("limit")
    return (used or EvaluationData.model_fields["limit"].default) + more if more else None


def time_limit(job: Job) -> str:
    """Return the job's own value of spec.benchmark.timeLimit."""
    return str((job.spec.get("benchmark") or {}).get("timeLimit") or Benchmark().time_limit)


def _seconds(job: Job, names: Collection[str]) -> float:
    return max((item.more_seconds or 0.0 for item in job.objectives if item.name in names), default=0.0)
