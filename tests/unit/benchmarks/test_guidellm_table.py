"""The comparison of load generators: its table is made from the results."""

import json
from pathlib import Path

from benchmarks.guidellm.table import END, START, table

FOLDER = Path("benchmarks/guidellm")


def test_the_readme_is_made_from_the_results() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    page = (FOLDER / "README.md").read_text()
    assert table(results) == page.split(START)[1].split(END)[0].strip()


def test_a_cell_has_the_median_of_the_blocks_and_both_ends() -> None:
    blocks = [{"TTFT p50": seconds} for seconds in (0.003, 0.001, 0.0025)]
    results = {
        "machine": {"cpu": "x", "cpus": 2},
        "date": "2026-12-01",
        "versions": {},
        "notes": [],
        "loads": {"1": {"ours": blocks}},
    }
    assert "| 1 | ours | +2.50 ms (+1.00 to +3.00) |" in table(results)
