"""Alerts about jobs that have not ended: blocked, waiting, stuck, late, or expensive."""

from typing import Final

from compressionjob import conditions
from dashboards.alerts.alert import Alert
from dashboards.promql import jobs, label_matcher, of_job

STUCK_WAITING: Final = conditions.STUCK
IN_LINE: Final = (conditions.QUEUED, conditions.WAITING_FOR_MEASURING_SLOT, conditions.MEASURING_FIRST)
"""Reasons that pass when other jobs end: in a queue such as Kueue, or without free CPUs to measure on."""

_STUCK: Final = '{phase="Pending", ' + label_matcher("reason", *STUCK_WAITING) + "}"
_PENDING: Final = '{phase="Pending", ' + label_matcher("reason", *STUCK_WAITING, *IN_LINE, negated=True) + "}"
_IN_LINE: Final = '{phase="Pending", ' + label_matcher("reason", *IN_LINE) + "}"
_REVIEW: Final = '{phase="AwaitingReview"}'
_COST: Final = of_job("cost")
_BUDGET: Final = of_job("budget")


def _oldest(selector: str, by: str = "reason") -> str:
    """Return the age of the oldest job. Every replica reports the same age."""
    return f"max by ({by}) (compression_operator_oldest_job_seconds{selector})"


def _while_in_phase(phases: str) -> str:
    """Return a filter of series by the phase of their job, since a series may outlive its state."""
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
        "It is in phase Pending without a known obstacle. A pod should start within an hour, and pass a "
        "queue or find a measuring slot within a day.",
    ),
    Alert(
        "CompressionJobStuck",
        f"time() - {of_job('last_progress_timestamp_seconds')} > 3600",
        "10m",
        "warning",
        "{{ $labels.namespace }}/{{ $labels.job }} makes no progress.",
        "The pod of the CompressionJob runs, but has reported no progress for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "CompressionJobDeadlineAtRisk",
        f"{of_job('forecast_finish_seconds')} - {of_job('deadline_seconds')} > 0 " + _while_in_phase('phase="Running"'),
        "5m",
        "warning",
        "{{ $labels.namespace }}/{{ $labels.job }} will miss its deadline by {{ $value | humanizeDuration }}.",
        "At its current speed the CompressionJob does not end before its deadline; then it fails. Its "
        "checkpoints are kept.",
    ),
    Alert(
        "CompressionJobBudgetNearlyUsed",
        f"{_COST} / {_BUDGET} > 0.9 " + _while_in_phase('phase!~"Succeeded|Failed"'),
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
        "A compressed model has waited for its review for {{ $value | humanizeDuration }}.",
        "At least one CompressionJob has been in phase AwaitingReview for more than a day: no review has approved or "
        "rejected its model, and nothing is published.",
    ),
)
