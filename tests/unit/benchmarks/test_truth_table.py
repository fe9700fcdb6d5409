"""The count of wrong verdicts, at one look and at several, and its table."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.truth.cells import cells_of, p_value, refuted
from benchmarks.truth.machines import MACHINES
from benchmarks.truth.table import END, START, table

FOLDER = Path("benchmarks/truth")


def _run(*looks: tuple[float, float]) -> dict[str, Any]:
    """Return a run whose truth is 100, with these ends of the interval at each look, and the last of them as fixed."""
    made_looks = [{"seconds": 1.0 + index, "p50": [low, 100.0, high]} for index, (low, high) in enumerate(looks)]
    return {"truth": {"p50": 100.0}, "looks": made_looks, "fixed": made_looks[-1]}


def _cell(runs: list[dict[str, Any]], distance: float, side: str, plan: str) -> dict[str, Any]:
    (matching,) = [
        cell for cell in cells_of(runs) if (cell["distance"], cell["side"], cell["plan"]) == (distance, side, plan)
    ]
    return matching


def test_the_first_look_that_decides_counts() -> None:
    runs = [_run((70, 140), (90, 112), (98, 103)), _run((70, 140), (98, 104), (99, 101))]
    early = _cell(runs, 0.10, "kept", "sequential")
    assert (early["decided"], early["wrong"], early["seconds"]) == (2, 0, 2.5), "at the third look and at the second"
    fixed = _cell(runs, 0.10, "kept", "fixed")
    assert (fixed["decided"], fixed["seconds"]) == (2, 3.0)


def test_verdicts_against_the_truth_and_on_the_limit_are_wrong() -> None:
    runs = [_run((101, 103), (99, 101)), _run((99, 101), (99, 101))]
    assert _cell(runs, 0.0, "on", "sequential")["wrong"] == 1, "it was decided at the first look"
    assert _cell(runs, 0.0, "on", "fixed")["wrong"] == 0
    misled = [_run((120, 130)), _run((70, 80))]
    assert _cell(misled, 0.10, "kept", "fixed")["wrong"] == 1
    assert _cell(misled, 0.10, "broken", "fixed")["wrong"] == 1


def test_an_open_interval_is_never_wrong() -> None:
    cells = cells_of([_run((10, 1000))])
    assert {cell["decided"] for cell in cells} == {cell["wrong"] for cell in cells} == {0}


def test_a_cell_is_refuted_by_an_exact_test_over_all_cells() -> None:
    fine = {"runs": 200, "wrong": 10}
    assert p_value(fine) == pytest.approx(0.545, abs=0.01)
    assert refuted([fine] * 100) == []
    bad = {"runs": 200, "wrong": 30}
    assert refuted([bad, *[fine] * 99]) == [bad]
    assert p_value({"runs": 200, "wrong": 0}) == 1.0


def test_the_readme_is_made_from_the_results() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    page = (FOLDER / "README.md").read_text()
    assert table(results) == page.split(START)[1].split(END)[0].strip()


def test_published_verdicts_have_their_error_rate() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    cells = [cell for entry in results["runs"].values() for cell in entry["cells"]]
    assert {title.split(", ")[-1] for title in results["runs"]} == {*MACHINES, "quality"}
    assert refuted(cells) == []


def test_limits_a_quarter_away_are_decided_despite_neighbours() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    for title, entry in results["runs"].items():
        if title.startswith("SingleStream") and title.endswith("40 %"):
            for cell in entry["cells"]:
                if cell["distance"] == 0.25 and cell["plan"] == "sequential":
                    assert cell["decided"] >= 0.8 * cell["runs"], cell
