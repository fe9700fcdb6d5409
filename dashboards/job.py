"""The dashboard of one job, for whoever applied it.

compression_operator_job_* come from the operator and live as long as the CompressionJob; compression_runner_* come
from the pods, whose scrape (PodMonitor) puts the CompressionJob's name into the label job. They end with the pod, so
that what it told last is looked for in the whole time shown.
"""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel, VariableRefresh, VariableSort

from dashboards.board import Board
from dashboards.panels import DATASOURCE, Query, bars, figures, lines
from dashboards.promql import of_job

UID: Final = "compression-job"
_CHOSEN: Final = 'namespace="$namespace", job="$job"'
SELECTED: Final = f"{{{_CHOSEN}}}"
_INFO: Final = "compression_operator_job_info"


def board() -> Board:
    """The dashboard."""
    return Board(
        UID,
        "Compression: one job",
        "One CompressionJob: how far it is, what became of the model, and how much of each limit is left.",
        {"Now": _now(), "Stages": _stages(), "Result": _result(), "Latency": _latency()},
        [
            _choice("namespace", "Namespace", f"label_values({_INFO}, namespace)"),
            _choice("job", "Job", f'label_values({_INFO}{{namespace="$namespace"}}, job)'),
        ],
    )


def _now() -> list[Builder[Panel]]:
    deadline, forecast = of_job("deadline_seconds", SELECTED), of_job("forecast_finish_seconds", SELECTED)
    return [
        figures("State", "Phase of the job, and the reason that explains it.",
                Query(of_job("info", SELECTED, "phase", "reason"), "{{phase}} {{reason}}"), span=5, named=True),
        figures("Verdict", "What the measurements say about the limits; none before the end.",
                Query(of_job("info", f'{{{_CHOSEN}, verdict!=""}}', "verdict"), "{{verdict}}"), span=3, named=True),
        figures("Progress", "Share of the job that is done.",
                Query(of_job("progress_ratio", SELECTED), "done"), unit="percentunit", span=3),
        figures("Last news", "Time since the running pod told something new; an hour raises an alert.",
                Query(f"time() - {of_job('last_progress_timestamp_seconds', SELECTED)}", "ago"), unit="s", span=3),
        figures("Size", "Size of the result divided by the baseline's: below 1 is smaller.",
                Query(of_job("size_ratio", SELECTED), "of the baseline"), unit="percentunit", span=3),
        figures("Deadline", "When the deadline passes, and when the job is expected to be done.",
                Query(f"{deadline} * 1000", "deadline"), Query(f"{forecast} * 1000", "expected"),
                unit="dateTimeFromNow", span=4),
        figures("Cost", "What the pods have cost, and what they may, in the currency of the runtime's price.",
                Query(of_job("cost", SELECTED), "cost"), Query(of_job("budget", SELECTED), "budget"),
                decimals=2, span=3),
    ]  # fmt: skip


def _stages() -> list[Builder[Panel]]:
    stage = "{{stage}} {{method}}"
    return [
        lines("Progress over time", "Share of the job that is done.",
              Query(of_job("progress_ratio", SELECTED), "done"), unit="percentunit", span=6),
        lines("Stage", "What the pod is doing: 1 while it does.",
              Query(f"max by (stage, method) (compression_runner_stage{SELECTED})", stage), span=6, stacked=True),
        bars("Seconds by stage", "How long each stage took, or has taken so far.",
             Query(_told("stage, method", "stage_seconds"), stage), unit="s", span=6),
        bars("Size by stage", "Size of the model after each stage; source is before any.",
             Query(_told("stage", "size_bytes"), "{{stage}}"), unit="bytes", span=6),
    ]  # fmt: skip


def _result() -> list[Builder[Panel]]:
    return [
        bars("Margins", "Share of each limit that is left at the interval's worse end: below 0 it is not surely kept.",
             Query(of_job("margin_ratio", SELECTED, "objective"), "{{objective}}"), unit="percentunit", least=None),
        bars("Quality", "Quality of baseline and result, by metric, on the evaluation data.",
             Query(of_job("quality", SELECTED, "model", "metric"), "{{model}} {{metric}}")),
        bars("Peak memory", "Most memory that a fresh process took to serve each model.",
             Query(of_job("peak_memory_bytes", SELECTED, "model"), "{{model}}"), unit="bytes"),
    ]  # fmt: skip


def _latency() -> list[Builder[Panel]]:
    percentiles = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
    return [
        bars("Latency, as reported", "Percentiles of the latency of baseline and result, as in the job's status.",
             Query(of_job("latency_seconds", SELECTED, "model", "percentile"), "{{model}} {{percentile}}"), unit="s"),
        lines("Latency, as measured", "Percentiles of the queries measured so far, from the pod's histogram.",
              *(Query(_quantile(share), f"{{{{model}}}} {name}") for share, name in percentiles), unit="s"),
        bars("Throughput", "Samples per second of baseline and result, as in the job's status.",
             Query(of_job("throughput_per_second", SELECTED, "model"), "{{model}}")),
    ]  # fmt: skip


def _told(by: str, metric: str) -> str:
    return f"max by ({by}) (last_over_time(compression_runner_{metric}{SELECTED}[$__range]))"


def _quantile(share: float) -> str:
    buckets = f"compression_runner_latency_seconds_bucket{SELECTED}"
    return f"histogram_quantile({share}, sum by (model, le) ({buckets}))"


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        # A job's series end with the job: those of the time shown are offered.
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
