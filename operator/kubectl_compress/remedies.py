"""The longer benchmark or the number of samples that would decide a job's open limits, from its status."""

import math

from compressionjob import conditions
from compressionjob.data import EvaluationData
from compressionjob.field_types import parse_duration
from compressionjob.remedies import more_samples, more_seconds
from compressionjob.spec import Benchmark
from kubectl_compress.job import Job


def time_limit_that_decides(job: Job) -> str | None:
    """Return the approximate spec.benchmark.timeLimit that would decide the limits on speed.

    None if no limit is open, or if more time decides none of them.
    """
    more = more_seconds(job.objectives)
    if job.reason != conditions.SLA_INCONCLUSIVE or not more:
        return None
    seconds = parse_duration(time_limit(job)) + more
    return f"{math.ceil(seconds / 60)}m" if seconds >= 60 else f"{math.ceil(seconds)}s"


def samples_that_decide(job: Job) -> int | None:
    """Return the approximate number of evaluation samples that would decide the limits on quality."""
    more = more_samples(job.objectives)
    used = (job.spec.get("data") or {}).get("evaluation", {}).get("limit")
    return (used or EvaluationData.model_fields["limit"].default) + more if more else None


def time_limit(job: Job) -> str:
    """Return the job's own value of spec.benchmark.timeLimit."""
    return str((job.spec.get("benchmark") or {}).get("timeLimit") or Benchmark().time_limit)
