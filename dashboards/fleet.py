"""Panels about all jobs together."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import Query, bars, figures, lines
from dashboards.promql import jobs


def panels() -> list[Builder[Panel]]:
    """In the order in which they are read."""
    return [
        figures("Jobs", "CompressionJobs that exist, by phase.", Query(jobs("phase"), "{{phase}}"), span=9),
        figures(
            "Verdicts", "Verdicts reached in the time shown.",
            Query("sum by (verdict) (increase(compression_operator_verdicts_total[$__range]))", "{{verdict}}"),
        ),
        figures(
            "Saved", "Bytes by which the models published in the time shown are smaller than their baselines.",
            Query("sum(increase(compression_operator_bytes_saved_total[$__range]))", "saved"),
            unit="bytes", span=5,
        ),
        figures(
            "Leader", "Replicas that lead (1 is right), of those that answer.",
            Query("sum(compression_operator_leader)", "leading"),
            Query("count(compression_operator_leader)", "replicas"),
            span=4,
        ),
        lines("Jobs by phase", "CompressionJobs that exist, over time.",
              Query(jobs("phase"), "{{phase}}"), stacked=True),
        bars("Failures by reason", "Failed CompressionJobs that exist, by the reason of their Failed condition.",
             Query(jobs("reason", '{phase="Failed"}'), "{{reason}}")),
        lines("Waiting by reason", "Pending CompressionJobs, by what they wait for.",
              Query(jobs("reason", '{phase="Pending"}'), "{{reason}}"), stacked=True),
    ]  # fmt: skip
