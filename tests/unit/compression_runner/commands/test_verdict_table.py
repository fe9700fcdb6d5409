"""The final output of `compression-runner run`."""

import io
from pathlib import Path

from rich.console import Console

from compression_runner.commands.verdict_table import show
from tests.support.reports import report


def printed(verdict: str) -> str:
    screen = io.StringIO()
    show(report(verdict=verdict), Path("work"), Console(file=screen, width=200), published=False)
    return screen.getvalue()


def test_a_verdict_other_than_pass_has_a_remedy() -> None:
    assert "to do: try " in printed("Inconclusive")
    assert "to do: see the report, then change the pipeline or the limits" in printed("Fail")
    assert "to do" not in printed("Pass")


def test_a_counted_figure_is_exact() -> None:
    (size,) = (line for line in printed("Pass").splitlines() if "size.ratio" in line)
    assert [cell.strip() for cell in size.split("│")][4] == "exact"
