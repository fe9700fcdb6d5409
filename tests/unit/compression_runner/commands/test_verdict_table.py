"""The final output of `compression-runner run`."""

import io
from pathlib import Path

from compression_runner.commands.console import PlainConsole
from compression_runner.commands.verdict_table import show
from tests.support.reports import report


def printed(verdict: str) -> str:
    screen = io.StringIO()
    show(report(verdict=verdict), Path("work"), PlainConsole(file=screen, width=200), published=False)
    return screen.getvalue()


def test_a_verdict_other_than_pass_has_a_remedy() -> None:
    assert "to do: try " in printed("Inconclusive")
    assert "to do: see the report, then change the pipeline or the limits" in printed("Fail")
    assert "to do" not in printed("Pass")


def test_a_counted_figure_is_exact() -> None:
    (size,) = (line for line in printed("Pass").splitlines() if "size.ratio" in line)
    assert [cell.strip() for cell in size.split("│")][4] == "exact"


def test_texts_of_a_report_are_no_markup() -> None:
    """Names of groups and tasks come from data: they cannot print another verdict, a link, or end the program."""
    hostile = "[bold green]Pass[/] [link=http://evil.example]report[/link] :warning: [/x]"
    screen = io.StringIO()
    judged = report(verdict="Fail", sentence=hostile, anomalies=[hostile])
    show(
        judged,
        Path("work"),
        PlainConsole(file=screen, width=400, force_terminal=True, highlight=False),
        published=False,
    )
    assert screen.getvalue().count(hostile) == 2
    assert "\x1b]8;" not in screen.getvalue()
