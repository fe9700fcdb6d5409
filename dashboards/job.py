"""The dashboard of one job, for its author.

compression_operator_job_* are metrics of the operator and exist as long as the CompressionJob. compression_runner_*
are metrics of the pods; the PodMonitor sets the label job to the name of the CompressionJob. They end with the pod, so
the queries take the last value in the whole time range.
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
    """Return the dashboard."""
    return Board(
        UID,
        "Compression: one job",
        "One CompressionJob: progress, compressed model, and margin to each limit.",
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
        figures("Verdict", "Verdict on the limits; empty before the end.",
                Query(of_job("info", f'{{{_CHOSEN}, verdict!=""}}', "verdict"), "{{verdict}}"), span=3, named=True),
        figures("Progress", "Completed share of the job.",
                Query(of_job("progress_ratio", SELECTED), "done"), unit="percentunit", span=3),
        figures("Last progress", "Time since the running pod last reported progress; an hour raises an alert.",
                Query(f"time() - {of_job('last_progress_timestamp_seconds', SELECTED)}", "ago"), unit="s", span=3),
        figures("Size", "Size of the compressed model divided by the baseline's.",
                Query(of_job("size_ratio", SELECTED), "of the baseline"), unit="percentunit", span=3),
        figures("Deadline", "Deadline and expected completion time.",
                Query(f"{deadline} * 1000", "deadline"), Query(f"{forecast} * 1000", "expected"),
                unit="dateTimeFromNow", span=4),
        figures("Cost", "Cost of the pods so far and the budget, in the currency of the runtime's price.",
                Query(of_job("cost", SELECTED), "cost"), Query(of_job("budget", SELECTED), "budget"),
                decimals=2, span=3),
    ]  # fmt: skip


def _stages() -> list[Builder[Panel]]:
    stage = "{{stage}} {{method}}"
    return [
        lines("Progress over time", "Completed share of the job.",
              Query(of_job("progress_ratio", SELECTED), "done"), unit="percentunit", span=6),
        lines("Stage", "Current stage of the pod: 1 while it runs.",
              Query(f"max by (stage, method) (compression_runner_stage{SELECTED})", stage), span=6, stacked=True),
        bars("Seconds by stage", "Duration of each stage so far.",
             Query(_last_value("stage, method", "stage_seconds"), stage), unit="s", span=6),
        bars("Size by stage", "Size of the model after each stage; source is the original model.",
             Query(_last_value("stage", "size_bytes"), "{{stage}}"), unit="bytes", span=6),
    ]  # fmt: skip


def _result() -> list[Builder[Panel]]:
    return [
        bars("Margins", "Margin to each limit at the worse end of the interval, as a share of the limit.",
             Query(of_job("margin_ratio", SELECTED, "objective"), "{{objective}}"), unit="percentunit", least=None),
        bars("Quality", "Quality of the baseline and the compressed model on the evaluation data, by metric.",
             Query(of_job("quality", SELECTED, "model", "metric"), "{{model}} {{metric}}")),
        bars("Peak memory", "Peak memory of a fresh process that serves each model.",
             Query(of_job("peak_memory_bytes", SELECTED, "model"), "{{model}}"), unit="bytes"),
    ]  # fmt: skip


def _latency() -> list[Builder[Panel]]:
    percentiles = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
    return [
        bars("Latency, as reported", "Latency percentiles of both models, from the job's status.",
             Query(of_job("latency_seconds", SELECTED, "model", "percentile"), "{{model}} {{percentile}}"), unit="s"),
        lines("Latency, as measured", "Latency percentiles of the queries so far, from the pod's histogram.",
              *(Query(_quantile(share), f"{{{{model}}}} {name}") for share, name in percentiles), unit="s"),
        bars("Throughput", "Samples per second of the baseline and the compressed model, from the job's status.",
             Query(of_job("throughput_per_second", SELECTED, "model"), "{{model}}")),
    ]  # fmt: skip


def _last_value(by: str, metric: str) -> str:
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
        # A job's series end with the job, so the selection lists those in the time range.
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
