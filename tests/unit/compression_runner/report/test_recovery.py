"""Recovery in the report: a row for each task, with its verdict, and tasks that have none."""

from typing import Any

from compression_runner.report import render_html, render_markdown
from compression_runner.report.recovery_rows import recovery_view
from compressionjob.estimate import Estimate
from compressionjob.report import RecoveryReport, Report, TaskRecovery
from tests.support.reports import HOSTILE, NOW, objective, report


def measured(name: str, **more: Any) -> TaskRecovery:
    fields: dict[str, Any] = {
        "name": name,
        "kind": "multiple-choice",
        "metric": "acc_norm",
        "documents": 1200,
        "few_shot": 5,
        "chance": 0.25,
        "baseline": Estimate(value=0.6, low=0.57, high=0.63),
        "compressed": Estimate(value=0.588, low=0.56, high=0.62),
        "recovery": Estimate(value=0.98, low=0.962, high=1.004),
        "broken": 20,
        "fixed": 6,
        "verdict": "Pass",
    }
    return TaskRecovery.model_validate({**fields, **more})


def with_tasks() -> Report:
    reason = "the baseline answers 0.26 of the questions of task hard right, and guessing 0.25: use another task"
    tasks = [
        measured("arc-easy"),
        measured("hard", recovery=None, verdict="Inconclusive", reason=reason),
        measured(HOSTILE, recovery=Estimate.exact(1.0), verdict=None, few_shot=0),
    ]
    limit = objective("recovery", "Inconclusive", direction="at least", limit=0.95, measured=0.98, low=0.0, high=1.0)
    return report(recovery=RecoveryReport(harness="lm-eval 0.4.13", tasks=tasks), objectives=[limit])


def test_the_view_has_a_row_for_each_task() -> None:
    view = recovery_view(with_tasks())
    assert view is not None
    first, second, third = view.rows
    assert (first.recovery, first.recovery_span, first.verdict) == ("98 %", "96.2 % to 100 %", "Pass")
    assert (first.metric, first.documents, first.changed) == ("acc_norm, 5 examples", "1,200", "20 lost, 6 gained")
    assert (second.recovery, second.recovery_span) == ("none", "")
    assert (third.recovery_span, third.verdict, third.metric) == ("", None, "acc_norm")
    assert view.notes == (
        "The baseline answers 0.26 of the questions of task hard right, and guessing 0.25: use another task.",
    )
    assert "lm-eval 0.4.13" in view.said


def test_the_page_and_the_markdown_show_them_escaped() -> None:
    page, markdown = render_html(with_tasks(), NOW), render_markdown(with_tasks(), NOW)
    assert "<h2>Recovery</h2>" in page
    assert HOSTILE not in page
    assert "### Recovery" in markdown
    assert "| arc-easy | `acc_norm, 5 examples` | 1,200 | 0.6000 (0.5700 to 0.6300)" in markdown
    assert "98 % (96.2 % to 100 %) | ✓ Pass |" in markdown
    assert "no limit |" in markdown
    assert "<script>" not in markdown
    assert "Lowest recovery of a task" in page


def test_a_report_without_tasks_has_no_such_part() -> None:
    assert recovery_view(report()) is None
    assert "Recovery" not in render_markdown(report(), NOW)
