"""Alerts about the operator: availability, errors, load, watches and notifications."""

from typing import Final

from dashboards.alerts.alert import Alert
from dashboards.promql import increase, of_leader

_LEADERS: Final = "sum by (namespace, service) (compression_operator_leader)"
_RECONCILES: Final = "sum by (namespace) (rate(compression_operator_reconcile_seconds_count[10m]))"
# A Conflict is normal: another client wrote first, and the operator reconciles again.
_FAILURES: Final = 'compression_operator_reconcile_errors_total{reason!="Conflict"}'
_ERRORS: Final = f"sum by (namespace, reason) (rate({_FAILURES}[10m]))"
_REQUESTS: Final = "sum by (namespace) (rate(compression_operator_api_requests_total[10m]))"
_TROUBLE: Final = 'sum by (namespace) (rate(compression_operator_api_requests_total{code=~"5..|429|none"}[10m]))'
_FORBIDDEN: Final = 'compression_operator_api_requests_total{code="403"}'
_BUCKETS: Final = "sum by (namespace, le) (rate(compression_operator_reconcile_seconds_bucket[10m]))"
_UNDELIVERED: Final = "max by (namespace, receiver) (compression_operator_notifications_pending)"
_REFUSED: Final = 'compression_operator_status_refused_total{status="full"}'
_NOTIFICATIONS: Final = "compression_operator_notifications_total"


def _notified(result: str, span: str) -> str:
    return increase("namespace, receiver", f'{_NOTIFICATIONS}{{result="{result}"}}', span)


OPERATOR: Final = (
    Alert(
        "CompressionOperatorDown",
        'absent(up{job="compression-operator"} == 1)',
        "5m",
        "critical",
        "No Compression Operator answers.",
        "Prometheus has reached no replica of the operator for 5 minutes. Running pods go on, but no CompressionJob "
        "starts, ends or reports.",
    ),
    Alert(
        "CompressionOperatorNoLeader",
        f"{_LEADERS} == 0",
        "2m",
        "critical",
        "No replica of the Compression Operator leads.",
        "The replicas in {{ $labels.namespace }} answer, but for 2 minutes none has held the Lease, so none works.",
    ),
    Alert(
        "CompressionOperatorManyLeaders",
        f"{_LEADERS} > 1",
        "2m",
        "critical",
        "{{ $value }} replicas of the Compression Operator lead at once.",
        "Exactly one replica in {{ $labels.namespace }} should hold the Lease. Their clocks may be far apart, or they "
        "use different Leases.",
    ),
    Alert(
        "CompressionOperatorReconcileErrors",
        f"{_ERRORS} / on (namespace) group_left () {_RECONCILES} > 0.05",
        "10m",
        "warning",
        "{{ $value | humanizePercentage }} of reconciles fail: {{ $labels.reason }}.",
        "The operator in {{ $labels.namespace }} keeps failing with {{ $labels.reason }} and tries again. Jobs are "
        "late or stand still.",
    ),
    Alert(
        "CompressionOperatorStatusRefused",
        f"{increase('namespace', _REFUSED, '1h')} > 0",
        "0m",
        "warning",
        "The API server refuses statuses of the Compression Operator.",
        "In the last hour the API server refused a status of the operator in {{ $labels.namespace }}: the installed "
        "CRDs are older than the operator. Jobs continue and end, but their statuses lack fields.",
    ),
    Alert(
        "CompressionOperatorForbidden",
        # Longer than the longest pause between two attempts to create a child Job (loop.admission.LONGEST_PAUSE).
        f"sum by (namespace, verb, resource) (increase({_FORBIDDEN}[6m])) > 0",
        "10m",
        "warning",
        "The Compression Operator may not {{ $labels.verb }} {{ $labels.resource }}.",
        "The API server refuses requests of the operator in {{ $labels.namespace }} with 403: RBAC, a quota or an "
        "admission policy does not allow {{ $labels.verb }} on {{ $labels.resource }}.",
    ),
    Alert(
        "CompressionOperatorAPITrouble",
        f"{_TROUBLE} / {_REQUESTS} > 0.1",
        "10m",
        "warning",
        "{{ $value | humanizePercentage }} of requests to the API server fail.",
        "Requests of the operator in {{ $labels.namespace }} end in 5xx, 429 or without a response.",
    ),
    Alert(
        "CompressionOperatorSlow",
        f"histogram_quantile(0.99, {_BUCKETS}) > 2.5",
        "15m",
        "warning",
        "One reconcile in a hundred takes over {{ $value | humanizeDuration }}.",
        "The operator in {{ $labels.namespace }} is slow: look at its CPU, and at the latency of the API server.",
    ),
    Alert(
        "CompressionOperatorBacklog",
        f"sum by (namespace) ({of_leader('compression_operator_queue_depth')}) > 100",
        "15m",
        "warning",
        "{{ $value }} CompressionJobs wait for the operator.",
        "For 15 minutes more than 100 jobs have waited for a worker of the operator in {{ $labels.namespace }}.",
    ),
    Alert(
        "CompressionOperatorQueueAge",
        f"max by (namespace) ({of_leader('compression_operator_queue_age_seconds')}) > 60",
        "5m",
        "warning",
        "A CompressionJob has waited for the operator for {{ $value | humanizeDuration }}.",
        "For 5 minutes the operator in {{ $labels.namespace }} has reconciled jobs more than a minute after they "
        "changed: its workers hang, or are too few.",
    ),
    Alert(
        "CompressionOperatorWatchStale",
        "max by (namespace) (compression_operator_watch_missing_objects) > 0",
        "15m",
        "warning",
        "The Compression Operator misses {{ $value }} objects.",
        "For 15 minutes the resync of the operator in {{ $labels.namespace }} has found objects that its watches had "
        "not reported. The operator does not see changes of them.",
    ),
    Alert(
        "CompressionOperatorNotificationsFailing",
        f"{_UNDELIVERED} > 0 unless {_notified('delivered', '30m')} > 0",
        "15m",
        "warning",
        "The receiver {{ $labels.receiver }} accepts no notifications.",
        "{{ $value }} notifications wait for the receiver {{ $labels.receiver }}, and the operator in "
        "{{ $labels.namespace }} has delivered none for half an hour. It keeps retrying, and jobs do not wait for it.",
    ),
    Alert(
        "CompressionOperatorNotificationsDropped",
        f"{_notified('dropped', '1h')} > 0",
        "0m",
        "warning",
        'The receiver {{ $labels.receiver }} has lost {{ $value | printf "%.0f" }} notifications.',
        "In the last hour the operator in {{ $labels.namespace }} dropped notifications to the receiver {{ "
        "$labels.receiver }}: the receiver refused them, or they were too old.",
    ),
)
