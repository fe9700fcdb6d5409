"""The Prometheus rules: what should wake or tell somebody, and where it is explained."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from compressionjob import conditions
from dashboards.promql import jobs, of_leader

RUNBOOKS: Final = "docs/runbooks"
"""Folder of one page for each alert; the chart's prometheusRule.runbookBase puts a URL in its place."""

STUCK_WAITING: Final = (
    conditions.UNSCHEDULABLE,
    conditions.IMAGE_PULL_FAILED,
    conditions.CONTAINER_CONFIG_ERROR,
    conditions.RUNTIME_NOT_FOUND,
    conditions.INVALID_RUNTIME,
)
"""Reasons of Pending that do not go away by waiting alone. Queued does: a queue such as Kueue holds the job."""

VERDICT_REASONS: Final = (conditions.SLA_VIOLATED, conditions.SLA_INCONCLUSIVE)
"""Reasons of Failed that are a result, and no trouble."""


@dataclass(frozen=True)
class Alert:
    """An alert: PromQL, how long it must hold, and what it says."""

    name: str
    expression: str
    wait: str
    severity: Literal["critical", "warning", "info"]
    summary: str
    description: str

    def rule(self) -> dict[str, Any]:
        """The entry in a rule file."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }


def _among(label: str, reasons: tuple[str, ...], *, negated: bool = False) -> str:
    return f'{label}{"!~" if negated else "=~"}"{"|".join(reasons)}"'


_LEADERS: Final = "sum by (namespace, service) (compression_operator_leader)"
_RECONCILES: Final = "sum by (namespace) (rate(compression_operator_reconcile_seconds_count[10m]))"
# A Conflict is no trouble: somebody else wrote first, and the operator looks again.
_FAILURES: Final = 'compression_operator_reconcile_errors_total{reason!="Conflict"}'
_ERRORS: Final = f"sum by (namespace, reason) (rate({_FAILURES}[10m]))"
_REQUESTS: Final = "sum by (namespace) (rate(compression_operator_api_requests_total[10m]))"
_TROUBLE: Final = 'sum by (namespace) (rate(compression_operator_api_requests_total{code=~"5..|429|none"}[10m]))'
_FORBIDDEN: Final = 'compression_operator_api_requests_total{code="403"}'
_BUCKETS: Final = "sum by (namespace, le) (rate(compression_operator_reconcile_seconds_bucket[10m]))"
_WAITING: Final = jobs("reason", "{" + 'phase="Pending", ' + _among("reason", STUCK_WAITING) + "}")
_PROGRESS: Final = "compression_operator_job_progress_ratio"
_REFUSALS: Final = 'compression_operator_verdicts_total{verdict="Fail"}'


def _failed(ago: str = "") -> str:
    return jobs("reason", "{" + 'phase="Failed", ' + _among("reason", VERDICT_REASONS, negated=True) + "}", ago=ago)


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
        "CompressionOperatorForbidden",
        f"sum by (namespace, verb, resource) (increase({_FORBIDDEN}[10m])) > 0",
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
        "Requests of the operator in {{ $labels.namespace }} end in 5xx, 429 or no answer at all.",
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
)

JOBS: Final = (
    Alert(
        "CompressionJobSLAViolated",
        # increase() sees no first sample: a counter that is new has counted since it was not there.
        f"sum by (namespace) (increase({_REFUSALS}[1h]) > 0 or {_REFUSALS} unless {_REFUSALS} offset 1h) > 0",
        "0m",
        "info",
        "A compressed model does not keep its SLA.",
        "In the last hour {{ $value | humanize }} CompressionJobs ended with the verdict Fail. "
        "`kubectl get cpj --all-namespaces` shows them; each job's status has the objectives, limit by limit.",
    ),
    Alert(
        "CompressionJobWaiting",
        f"{_WAITING} > 0",
        "15m",
        "warning",
        "{{ $value }} CompressionJobs are held up: {{ $labels.reason }}.",
        "For 15 minutes there have been CompressionJobs that cannot start because of {{ $labels.reason }}. Waiting "
        "alone will not help.",
    ),
    Alert(
        "CompressionJobStuck",
        f"{_PROGRESS} < 1 and changes({_PROGRESS}[1h]) == 0 and {_PROGRESS} offset 1h",
        "10m",
        "warning",
        "{{ $labels.namespace }}/{{ $labels.job }} makes no progress.",
        "The CompressionJob has stood at {{ $value | humanizePercentage }} for more than an hour.",
    ),
    Alert(
        "CompressionJobsFailing",
        f"{_failed()} - ({_failed(ago='1h')} or {_failed()} * 0) >= 3",
        "0m",
        "warning",
        "{{ $value }} CompressionJobs failed within an hour: {{ $labels.reason }}.",
        "Several jobs ended for the same reason, {{ $labels.reason }}, which is no verdict on a model: something that "
        "they share is at fault, such as a store, a runtime or a node.",
    ),
)


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return OPERATOR + JOBS


def text() -> str:
    """The rule file, as Prometheus reads it."""
    groups = [
        {"name": "compression-operator", "rules": [alert.rule() for alert in OPERATOR]},
        {"name": "compression-jobs", "rules": [alert.rule() for alert in JOBS]},
    ]
    body = yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)
    return "# Generated by `python -m dashboards` from dashboards/rules.py. Do not edit.\n" + body
