"""The dashboard of the operator, for the engineer on call."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.board import Board
from dashboards.panels import Query, figures, lines
from dashboards.promql import of_leader, quantile, rate

_RECONCILE: Final = "compression_operator_reconcile_seconds"
_REQUESTS: Final = "compression_operator_api_requests_total"
_MISSING: Final = "max(compression_operator_watch_missing_objects)"
_PENDING: Final = "max by (receiver) (compression_operator_notifications_pending)"


def board() -> Board:
    """Return the dashboard. The rows are in the order of an investigation."""
    return Board(
        "compression-operator",
        "Compression: operator",
        "The operator: leader, load, watches, API requests, and notifications.",
        {"Now": _now(), "Work": _work(), "Cluster": _cluster(), "Pods and receivers": _outside()},
    )


def _now() -> list[Builder[Panel]]:
    return [
        figures("Leader", "Replicas that lead (must be 1), and replicas that respond.",
                Query("sum(compression_operator_leader)", "leading"),
                Query("count(compression_operator_leader)", "replicas")),
        figures("Queue", "Jobs that wait for a worker of the leader.",
                Query(f"sum({of_leader('compression_operator_queue_depth')})", "waiting")),
        figures("Waiting for a worker", "Waiting time of the next job in the leader's queue.",
                Query(f"max({of_leader('compression_operator_queue_age_seconds')})", "next job"), unit="s", span=4),
        figures("Missed objects", "Objects that the last resync found and the watches had not reported.",
                Query(_MISSING, "objects"), span=4),
        figures("Undelivered", "Notifications that are not delivered yet.",
                Query(f"sum({_PENDING})", "notifications"), span=4),
    ]  # fmt: skip


def _work() -> list[Builder[Panel]]:
    child = "compression_operator_apply_to_child_seconds"
    return [
        lines("From apply to child Job", "Time from the first event of a CompressionJob to its child Job.",
              Query(quantile(0.5, child), "p50"), Query(quantile(0.99, child), "p99"), unit="s"),
        lines("Reconcile latency", "Duration of one reconcile.",
              Query(quantile(0.5, _RECONCILE), "p50"), Query(quantile(0.99, _RECONCILE), "p99"), unit="s"),
        lines("Queue over time", "Jobs that wait for a worker of the leader.",
              Query(f"sum({of_leader('compression_operator_queue_depth')})", "waiting")),
        lines("Reconciles", "Reconciles per second, by outcome.",
              Query(rate("outcome", f"{_RECONCILE}_count"), "{{outcome}}"), unit="reqps"),
        lines("Reconcile errors", "Reconciles per second that failed and are retried, by reason.",
              Query(rate("reason", "compression_operator_reconcile_errors_total"), "{{reason}}"),
              Query(rate("status", "compression_operator_status_refused_total"), "{{status}} status refused"),
              unit="reqps"),
        lines("Leader over time", "1 for the replica that leads.",
              Query("max by (instance) (compression_operator_leader)", "{{instance}}")),
    ]  # fmt: skip


def _cluster() -> list[Builder[Panel]]:
    return [
        lines("API requests", "Requests to the API server per second.",
              Query(rate("verb, resource", _REQUESTS), "{{verb}} {{resource}}"), unit="reqps", span=6),
        lines("API requests refused", "Failed requests per second; none: without a response.",
              Query(rate("resource, code", _REQUESTS + '{code!~"2.."}'), "{{resource}} {{code}}"),
              unit="reqps", span=6),
        lines("Watch events", "Watch events per second, by kind.",
              Query(rate("resource", "compression_operator_watch_events_total"), "{{resource}}"),
              unit="reqps", span=6),
        lines("Missed objects over time", "Objects that a resync found and the watches had not reported seconds later.",
              Query(_MISSING, "objects"), span=6),
    ]  # fmt: skip


def _outside() -> list[Builder[Panel]]:
    return [
        lines("Progress requests to pods", "Progress requests to runner pods per second, by outcome.",
              Query(rate("outcome", "compression_operator_progress_polls_total"), "{{outcome}}"),
              unit="reqps", span=6),
        lines("Events", "Kubernetes Events about jobs per second, by outcome.",
              Query(rate("outcome", "compression_operator_events_total"), "{{outcome}}"), unit="reqps", span=6),
        lines("Notifications", "Notifications per second, by receiver and result.",
              Query(rate("receiver, result", "compression_operator_notifications_total"), "{{receiver}} {{result}}"),
              unit="reqps", span=6),
        lines("Pending notifications", "Notifications that are not delivered yet, by receiver.",
              Query(_PENDING, "{{receiver}}"), span=6),
    ]  # fmt: skip
