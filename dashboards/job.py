"""Panels about the jobs that the variables namespace and job select.

compression_operator_job_* come from the operator and live as long as the CompressionJob; compression_runner_* come
from the pods, whose scrape (PodMonitor) puts the CompressionJob's name into the label job.
"""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import Query, bars, lines

SELECTED: Final = '{namespace=~"$namespace", job=~"$job"}'
_JOB: Final = "{{namespace}}/{{job}}"


def _runner_quantile(share: float) -> str:
    buckets = f"compression_runner_latency_seconds_bucket{SELECTED}"
    return f"histogram_quantile({share}, sum by (namespace, job, model, le) ({buckets}))"


def panels() -> list[Builder[Panel]]:
    """In the order of a job's life."""
    return [
        lines("Progress", "Share of the job that is done.",
              Query(f"max by (namespace, job) (compression_operator_job_progress_ratio{SELECTED})", _JOB),
              unit="percentunit"),
        lines("Stage", "What the pod is doing: 1 while it does.",
              Query(f"max by (namespace, job, stage, method) (compression_runner_stage{SELECTED})",
                    f"{_JOB} {{{{stage}}}} {{{{method}}}}"), stacked=True),
        bars("Seconds by stage", "How long each stage took, or has taken so far.",
             Query(f"max by (namespace, job, stage, method) (compression_runner_stage_seconds{SELECTED})",
                   f"{_JOB} {{{{stage}}}} {{{{method}}}}"), unit="s"),
        bars("Size ratio", "Size of the result divided by the baseline's: below 1 is smaller.",
             Query(f"max by (namespace, job) (compression_operator_job_size_ratio{SELECTED})", _JOB),
             unit="percentunit"),
        bars("Size by stage", "Size of the model after each stage.",
             Query(f"max by (namespace, job, stage) (compression_runner_size_bytes{SELECTED})",
                   f"{_JOB} {{{{stage}}}}"), unit="bytes"),
        bars("Peak memory", "Most memory that inference with each model took.",
             Query(f"max by (namespace, job, model) (compression_runner_peak_memory_bytes{SELECTED})",
                   f"{_JOB} {{{{model}}}}"), unit="bytes"),
        bars("Latency, as reported", "Percentiles of the latency of baseline and result, as in the job's status.",
             Query(f"max by (namespace, job, model, percentile) (compression_operator_job_latency_seconds{SELECTED})",
                   f"{_JOB} {{{{model}}}} {{{{percentile}}}}"), unit="s", span=12),
        lines("Latency, as measured", "Percentiles of the queries measured so far, from the pod's histogram.",
              *(Query(_runner_quantile(share), f"{_JOB} {{{{model}}}} {name}")
                for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))), unit="s", span=12),
    ]  # fmt: skip
