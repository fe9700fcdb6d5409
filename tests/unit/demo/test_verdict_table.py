"""The demo's table of a verdict."""

import pytest

from demo.__main__ import show

MEMORY = {
    "name": "memory", "unit": "bytes", "direction": "at most", "limit": 2**30, "measured": 104e6, "low": 100e6,
    "high": 108e6, "verdict": "Pass",
}  # fmt: skip


def test_a_figure_is_shown_in_the_unit_of_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    show({"verdict": "Pass", "confidence": "0.95", "objectives": [MEMORY]})
    shown = capsys.readouterr().out
    assert "at most 1Gi" in shown
    assert "99.2Mi" in shown


def test_an_objective_that_was_not_measured_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    open_limit = {key: MEMORY[key] for key in ("name", "unit", "direction", "limit")} | {"verdict": "Inconclusive"}
    show({"objectives": [open_limit]})
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "memory" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["memory", "at most 1Gi", "-", "-", "Inconclusive"]
