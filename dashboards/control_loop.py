"""Panels about the operator itself."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import Query, lines


def quantile(share: float, metric: str) -> str:
    """The quantile of a histogram of the operator's, over Grafana's rate interval."""
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[$__rate_interval])))"


def _rate(by: str, metric: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def panels() -> list[Builder[Panel]]:
    """In the order in which a slow operator is looked into."""
    reconcile = "compression_operator_reconcile_seconds"
    child = "compression_operator_apply_to_child_seconds"
    requests = "compression_operator_api_requests_total"
    return [
        lines("From apply to child Job", "Time from the first sight of a CompressionJob to its child Job.",
              Query(quantile(0.5, child), "p50"), Query(quantile(0.99, child), "p99"), unit="s"),
        lines("Reconcile latency", "Time to look at one job and do what must be done.",
              Query(quantile(0.5, reconcile), "p50"), Query(quantile(0.99, reconcile), "p99"), unit="s"),
        lines("Queue", "Jobs that wait for a worker.",
              Query("sum(compression_operator_queue_depth)", "waiting")),
        lines("Reconciles", "Reconciles per second, by outcome.",
              Query(_rate("outcome", f"{reconcile}_count"), "{{outcome}}"), unit="reqps"),
        lines("Reconcile errors", "Reconciles per second that failed and are tried again, by reason.",
              Query(_rate("reason", "compression_operator_reconcile_errors_total"), "{{reason}}"), unit="reqps"),
        lines("API requests", "Requests to the API server per second.",
              Query(_rate("verb, resource, code", requests), "{{verb}} {{resource}} {{code}}"), unit="reqps"),
    ]  # fmt: skip
