"""The part of a report on tasks: scores of both models, and the share that the compressed model keeps."""

from dataclasses import dataclass

from compression_runner.report import wording
from compressionjob.estimate import Estimate
from compressionjob.report import RecoveryReport, Report, TaskRecovery
from compressionjob.verdict import LimitVerdict


@dataclass(frozen=True)
class RecoveryRow:
    """One task, as shown."""

    name: str
    metric: str
    documents: str
    baseline: str
    baseline_span: str
    compressed: str
    compressed_span: str
    recovery: str
    recovery_span: str
    changed: str
    verdict: LimitVerdict | None


@dataclass(frozen=True)
class RecoveryView:
    """Recovery of tasks, as shown."""

    said: str
    rows: tuple[RecoveryRow, ...]
    notes: tuple[str, ...]


def recovery_view(report: Report) -> RecoveryView | None:
    """Return the view of a report with tasks; None without."""
    recovery = report.recovery
    if recovery is None or not recovery.tasks:
        return None
    notes = tuple(f"{task.reason[:1].upper()}{task.reason[1:]}." for task in recovery.tasks if task.reason)
    return RecoveryView(_said(recovery), tuple(map(_row, recovery.tasks)), notes)


def _said(recovery: RecoveryReport) -> str:
    return (
        f"Measured by {recovery.harness} on the job's own data. Recovery is the score of the compressed model divided "
        "by that of the baseline, on the same questions."
    )


def _row(task: TaskRecovery) -> RecoveryRow:
    shots = f", {task.few_shot} examples" if task.few_shot else ""
    return RecoveryRow(
        name=task.name,
        metric=f"{task.metric}{shots}",
        documents=f"{task.documents:,}",
        baseline=wording.number(task.baseline.value, "score"),
        baseline_span=wording.span(task.baseline, "score"),
        compressed=wording.number(task.compressed.value, "score"),
        compressed_span=wording.span(task.compressed, "score"),
        recovery=wording.per_cent(task.recovery.value) if task.recovery else "none",
        recovery_span=_share_span(task.recovery),
        changed=f"{task.broken:,} lost, {task.fixed:,} gained",
        verdict=task.verdict,
    )


def _share_span(recovery: Estimate | None) -> str:
    if recovery is None or recovery.low == recovery.high:
        return ""
    return f"{wording.per_cent(recovery.low)} to {wording.per_cent(recovery.high)}"
