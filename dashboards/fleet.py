"""The dashboard of all jobs, for the platform team."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.board import Board
from dashboards.job import UID as JOB
from dashboards.panels import Query, bars, figures, lines, table
from dashboards.promql import increase, jobs, of_job

_VERDICTS: Final = "compression_operator_verdicts_total"
_ENDED: Final = "compression_operator_jobs_ended_total"
_COST: Final = "compression_operator_cost_total"


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "compression-fleet",
        "Compression: fleet",
        "All CompressionJobs: number, results, waiting reasons, resources and cost.",
        {
            "Now": _now(),
            "Results": _results(),
            "Waiting": _waiting(),
            "Hardware and cost": _hardware(),
            "Jobs": _jobs(),
        },
    )


def _now() -> list[Builder[Panel]]:
    judged = f'sum(increase({_VERDICTS}{{verdict!="NoLimits"}}[$__range]))'
    open_ = f'sum(increase({_VERDICTS}{{verdict="Inconclusive"}}[$__range]))'
    return [
        figures("Jobs", "CompressionJobs that exist, by phase.", Query(jobs("phase"), "{{phase}}"), span=9),
        figures(
            "Verdicts", "Verdicts in the time range. NoLimits: the job sets no limits, so nothing was judged.",
            Query(increase("verdict", _VERDICTS, "$__range"), "{{verdict}}"), decimals=0,
        ),
        figures(
            "Inconclusive", "Share of Inconclusive among the verdicts on limits in the time range.",
            Query(f"{open_} / {judged}", "inconclusive"), unit="percentunit", span=3,
        ),
        figures(
            "Saved", "Bytes saved by the models published in the time range, relative to their baselines.",
            Query("sum(increase(compression_operator_bytes_saved_total[$__range]))", "saved"), unit="bytes", span=3,
        ),
        figures(
            "Cost", "Cost of pods in the time range, in the currency of the runtimes' prices.",
            Query(f"sum(increase({_COST}[$__range]))", "cost"), decimals=2, span=3,
        ),
    ]  # fmt: skip


def _results() -> list[Builder[Panel]]:
    return [
        lines("Verdicts per hour", "Verdicts within the previous hour.",
              Query(increase("verdict", _VERDICTS, "1h"), "{{verdict}}"), stacked=True),
        bars("Failures by reason", "CompressionJobs that failed in the time range, by reason.",
             Query(increase("reason", _ENDED + '{phase="Failed"}', "$__range") + " > 0", "{{reason}}")),
        bars("Retries by reason", "Retries after failed attempts in the time range. Preemptions do not count.",
             Query(increase("reason", "compression_operator_retries_total", "$__range") + " > 0", "{{reason}}")),
    ]  # fmt: skip


def _waiting() -> list[Builder[Panel]]:
    return [
        lines("Jobs by phase", "CompressionJobs that exist, over time.",
              Query(jobs("phase"), "{{phase}}"), span=6, stacked=True),
        lines("Waiting by reason", "Pending CompressionJobs, by reason.",
              Query(jobs("reason", '{phase="Pending"}'), "{{reason}}"), span=6, stacked=True),
        lines("Waiting for a measuring slot", "Jobs whose pods wait for a measuring slot, by runtime.",
              Query("max by (runtime) (compression_operator_measuring_slot_waiting_jobs)", "{{runtime}}"),
              span=6, stacked=True),
        lines("Waiting longest", "Longest time of a job in its phase, by phase and reason.",
              Query('max by (phase, reason) (compression_operator_oldest_job_seconds{phase!="Running"})',
                    "{{phase}} {{reason}}"), unit="s", span=6),
    ]  # fmt: skip


def _hardware() -> list[Builder[Panel]]:
    return [
        lines("Running by runtime", "Jobs with running pods, by CompressionRuntime.",
              Query("max by (runtime) (compression_operator_runtime_jobs)", "{{runtime}}"), span=5, stacked=True),
        lines("CPU by runtime", "Cores reserved by the pods of running jobs.",
              Query(_resource('resource="cpu"'), "{{runtime}} {{resource}}"), span=5, stacked=True),
        lines("Memory by runtime", "Memory reserved by the pods of running jobs.",
              Query(_resource('resource="memory"'), "{{runtime}} {{resource}}"), unit="bytes", span=5, stacked=True),
        lines("Devices by runtime", "GPUs and other devices of the pods of running jobs.",
              Query(_resource('resource=~".+/.+"'), "{{runtime}} {{resource}}"), span=4, stacked=True),
        lines("Cost per hour", "Cost of pods within the previous hour, by CompressionRuntime.",
              Query(increase("runtime", _COST, "1h"), "{{runtime}}"), span=5, stacked=True),
        lines("Space by namespace", "Bytes of checkpoints, reports and models in the stores of the jobs.",
              Query("sum by (namespace, kind) (compression_operator_job_space_bytes)", "{{namespace}} {{kind}}"),
              unit="bytes", span=12, stacked=True),
    ]  # fmt: skip


def _jobs() -> list[Builder[Panel]]:
    link = f"/d/{JOB}?var-namespace=${{__data.fields.namespace}}&var-job=${{__data.fields.job}}&${{__url_time_range}}"
    return [
        table("List of jobs", "Click a job's name to open its dashboard. The list has a maximum length.",
              Query(of_job("info", "", "phase", "reason", "verdict", "runtime"), ""),
              columns=("namespace", "job", "phase", "reason", "verdict", "runtime"), linked="job", url=link),
    ]  # fmt: skip


def _resource(selector: str) -> str:
    return f"max by (runtime, resource) (compression_operator_runtime_resources{{{selector}}})"
