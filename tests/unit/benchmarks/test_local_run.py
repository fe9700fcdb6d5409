"""The phases of a run, and their rows in the table beside Olive."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import local_run
from benchmarks.local_run.phases import END, START, PhaseClock
from benchmarks.local_run.table import write_table
from benchmarks.methods.staleness import current
from benchmarks.tooling import timed

LOG = """
import sys
def work():
    sum(index for index in range(2_000_000))
def say(line):
    print(line, file=sys.stderr, flush=True)
say("[1/1] preflight")
say("[1/1] preflight done in 0.0 s")
say("[2/3] fetch")
say("a warning of a library about its own phase, which is done in 3 s")
say("[2/3] fetch done in 0.1 s")
say("[3/3] export the model")
work()
say("[3/3] export the model done in 0.1 s")
"""


def test_phases_add_up_to_the_cost_of_the_process(tmp_path: Path) -> None:
    clock = PhaseClock()
    cost = timed([sys.executable, "-c", LOG], {}, tmp_path / "log.txt", on_line=clock.on_line)
    phases = clock.ended(cost)
    assert [phase.name for phase in phases] == [START, "preflight", "fetch", "export the model", END]
    assert sum(phase.wall_seconds for phase in phases) == pytest.approx(cost.wall_seconds)
    assert sum(phase.cpu_seconds for phase in phases) == pytest.approx(cost.cpu_seconds)
    assert max(phases, key=lambda phase: phase.cpu_seconds).name in (START, "export the model")
    assert (tmp_path / "log.txt").read_text().startswith("[1/1] preflight\n"), "the log is kept as it was written"


def test_the_table_has_the_median_of_each_phase(tmp_path: Path) -> None:
    here = Path(local_run.__file__).parent
    results: dict[str, Any] = json.loads((here / "results.json").read_text())
    results["runs"] = [results["runs"][0], json.loads(json.dumps(results["runs"][0]))]
    for run, seconds in zip(results["runs"], (2.0, 4.0), strict=True):
        run["ours"]["phases"] = [{"name": "fetch", "wallSeconds": seconds, "cpuSeconds": 1.0}]
        run["ours"] |= {"wallSeconds": 60.0, "cpuSeconds": 30.0}
        run["olive"] |= {"wallSeconds": 40.0, "cpuSeconds": 40.0}
    page = tmp_path / "README.md"
    page.write_text((here / "README.md").read_text())
    write_table(page, results, current())
    assert "| phase fetch: wall; CPU seconds | 3.0 (2.0 to 4.0); 1.0 (1.0 to 1.0) | - |" in page.read_text()
    assert "| ... relative to Olive, wall and CPU | 1.50 and 0.75 | 1 |" in page.read_text()
