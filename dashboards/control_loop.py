"""Panels about the operator itself."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import Query, lines
from dashboards.promql import of_leader, quantile, rate


def panels() -> list[Builder[Panel]]:
    """In the order in which a slow operator is looked into."""
    reconcile = "compression_operator_reconcile_seconds"
    child = "compression_operator_apply_to_child_seconds"
    requests = "compression_operator_api_requests_total"
    return [
        lines("From apply to child Job", "Time from the first sight of a CompressionJob to its child Job.",
              Query(quantile(0.5, child), "p50"), Query(quantile(0.99, child), "p99"), unit="s", span=6),
        lines("Reconcile latency", "Time to look at one job and do what must be done.",
              Query(quantile(0.5, reconcile), "p50"), Query(quantile(0.99, reconcile), "p99"), unit="s", span=6),
        lines("Queue", "Jobs that wait for a worker of the leader.",
              Query(f"sum({of_leader('compression_operator_queue_depth')})", "waiting"), span=6),
        lines("Reconciles", "Reconciles per second, by outcome.",
              Query(rate("outcome", f"{reconcile}_count"), "{{outcome}}"), unit="reqps", span=6),
        lines("Reconcile errors", "Reconciles per second that failed and are tried again, by reason.",
              Query(rate("reason", "compression_operator_reconcile_errors_total"), "{{reason}}"),
              unit="reqps", span=6),
        lines("API requests", "Requests to the API server per second.",
              Query(rate("verb, resource", requests), "{{verb}} {{resource}}"), unit="reqps", span=6),
        lines("API requests refused", "Requests per second that did not end well; none is no answer at all.",
              Query(rate("resource, code", requests + '{code!~"2.."}'), "{{resource}} {{code}}"),
              unit="reqps", span=6),
        lines("Questions to pods", "Questions about progress to the runners' pods per second, by outcome.",
              Query(rate("outcome", "compression_operator_progress_polls_total"), "{{outcome}}"),
              unit="reqps", span=6),
    ]  # fmt: skip
