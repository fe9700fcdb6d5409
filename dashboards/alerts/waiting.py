"""Alerts about jobs that go on, or should: held up, waiting, standing still, late, dear."""

from typing import Final

from compressionjob import conditions
from dashboards.alerts.alert import Alert
from dashboards.promql import among, jobs, of_job

STUCK_WAITING: Final = conditions.STUCK
IN_LINE: Final = (conditions.QUEUED, conditions.WAITING_FOR_MEASURING_SLOT, conditions.MEASURING_FIRST)
"""Reasons that do when other jobs end: in a queue such as Kueue, or until CPUs are free to measure on."""

_STUCK: Final = '{phase="Pending", ' + among("reason", *STUCK_WAITING) + "}"
_PENDING: Final = '{phase="Pending", ' + among("reason", *STUCK_WAITING, *IN_LINE, negated=True) + "}"
_IN_LINE: Final = '{phase="Pending", ' + among("reason", *IN_LINE) + "}"
_REVIEW: Final = '{phase="AwaitingReview"}'
_COST: Final = of_job("cost")
_BUDGET: Final = of_job("budget")


def _oldest(selector: str, by: str = "reason") -> str:
    """The age of the oldest job; every replica sees the same."""
    return f"max by ({by}) (compression_operator_oldest_job_seconds{selector})"


def _standing(phases: str) -> str:
    """Filter series of jobs by their phase; a series that outlives its state is no news."""
    return f"and on (namespace, job) compression_operator_job_info{{{phases}}}"


WAITING: Final = (
    Alert(
        "CompressionJobWaiting",
        f"{jobs('reason', _STUCK)} > 0 and on (reason) {_oldest(_STUCK)} > 900",
        "1m",
        "warning",
        "{{ $value }} CompressionJobs are held up: {{ $labels.reason }}.",
        "At least one of them has not been able to start for 15 minutes because of {{ $labels.reason }}. Waiting alone "
        "will not help.",
    ),
    Alert(
        "CompressionJobPendingTooLong",
        f"{_oldest(_PENDING)} > 3600 or {_oldest(_IN_LINE)} > 86400",
        "1m",
        "warning",
        "A CompressionJob has waited for {{ $value | humanizeDuration }}: {{ $labels.reason }}.",
        "It is in phase Pending, and nothing says that it cannot start. A pod should start within an hour, and pass a "
        "queue or find a measuring slot within a day.",
    ),
    Alert(
        "CompressionJobStuck",
        f"time() - {of_job('last_progress_timestamp_seconds')} > 3600",
        "10m",
        "warning",
        "{{ $labels.namespace }}/{{ $labels.job }} makes no progress.",
        "The pod of the CompressionJob runs, but has told nothing new for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "CompressionJobDeadlineAtRisk",
        f"{of_job('forecast_finish_seconds')} - {of_job('deadline_seconds')} > 0 " + _standing('phase="Running"'),
        "5m",
        "warning",
        "{{ $labels.namespace }}/{{ $labels.job }} will miss its deadline by {{ $value | humanizeDuration }}.",
        "As fast as the CompressionJob goes on now, its deadline passes before it is done; then it fails. Its "
        "checkpoints are kept.",
    ),
    Alert(
        "CompressionJobBudgetNearlyUsed",
        f"{_COST} / {_BUDGET} > 0.9 " + _standing('phase!~"Succeeded|Failed"'),
        "0m",
        "warning",
        "{{ $labels.namespace }}/{{ $labels.job }} has used {{ $value | humanizePercentage }} of its budget.",
        "The CompressionJob is stopped before it costs more than its budget. Its checkpoints are kept.",
    ),
    Alert(
        "CompressionJobAwaitingReview",
        f"{_oldest(_REVIEW, 'phase')} > 86400",
        "1m",
        "warning",
        "A result has waited for its review for {{ $value | humanizeDuration }}.",
        "At least one CompressionJob has been in phase AwaitingReview for more than a day: nobody has approved or "
        "rejected its result, and nothing is published.",
    ),
)
