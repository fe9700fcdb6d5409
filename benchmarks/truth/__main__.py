"""`python -m benchmarks.truth [--runs N] [--machine NAME] [--fresh]`: measure how often verdicts are right, and when.

Runs are kept in the cache, and a second call continues; --fresh starts again, which is necessary after a change of the
measurement.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.tooling import CACHE
from benchmarks.truth import runs, served
from benchmarks.truth.cells import cells_of, noise_of
from benchmarks.truth.machines import MACHINES, quiet
from benchmarks.truth.table import write_table
from compression_runner.evaluation.machine.description import machine
from compression_runner.evaluation.speed import sizing

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results.json"
"""Entries of kinds of runs that are not in the cache stay as they are."""
RUNS: Final = 200
SCENARIOS: Final = (*runs.SERVICES, *served.LOADS)
FIRST_SECONDS: Final = 0.1
"""Replaces sizing.FIRST_SECONDS: a run has a small part of the time of a job."""
SEEDS: Final = "one for each run"
"""Seeds of the order of the blocks and of the arrivals, separate from those of the times."""


def main() -> int:
    """Run the missing runs, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each kind (default {RUNS})")
    parser.add_argument("--machine", choices=(*MACHINES, "all"), default="all", help="default all")
    parser.add_argument("--scenario", choices=(*SCENARIOS, "all"), default="all", help="default all")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were made")
    chosen = parser.parse_args()
    sizing.FIRST_SECONDS = FIRST_SECONDS  # type: ignore[misc]
    kept = CACHE / "truth" / _settings()
    if chosen.fresh:
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS if chosen.scenario == "all" else (chosen.scenario,):
        for name in MACHINES if chosen.machine == "all" else (chosen.machine,):
            _go_on(_file(kept, scenario, name), scenario, MACHINES[name], chosen.runs)
    quality = [runs.quality_run(seed) for seed in range(chosen.runs)]
    made_here = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": machine().to_json()}
    entries = json.loads(RESULTS.read_text())["runs"]
    for scenario in SCENARIOS:
        for name in MACHINES:
            if made := _read(_file(kept, scenario, name)):
                entries[f"{scenario}, {name}"] = {"cells": cells_of(made), **noise_of(made), **made_here}
    entries["quality"] = {"cells": cells_of(quality), "runs": len(quality), **made_here}
    results = {"confidence": runs.CONFIDENCE, "looks": runs.LOOKS, "runs": entries}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    write_table(HERE / "README.md", results)
    sys.stderr.write("wrote benchmarks/truth/results.json and its README.md\n")
    return 0


def _file(kept: Path, scenario: str, name: str) -> Path:
    return kept / f"{scenario}-{name.replace(' %', '')}.jsonl"


def _go_on(path: Path, scenario: str, around: Callable[[], AbstractContextManager[None]], wanted: int) -> None:
    """Run the missing runs, and append each as a line of the file."""
    made = {run["seed"] for run in _read(path)}
    missing = [seed for seed in range(wanted) if seed not in made]
    if not missing:
        return
    with quiet():
        truth = served.truth_of(scenario) if scenario in served.LOADS else runs.truth_of(scenario)
    with around(), _run_of(scenario, missing[0]) as run, path.open("a") as file:
        for seed in missing:
            file.write(json.dumps(run(truth, seed)) + "\n")
            file.flush()
            if seed % 20 == 19:
                sys.stderr.write(f"{path.stem}: {seed + 1} of {wanted}\n")


def _run_of(scenario: str, first_seed: int) -> AbstractContextManager[served.Run]:
    if scenario in served.LOADS:
        return served.runs_of(scenario, first_seed)
    return nullcontext(partial(runs.run, scenario))


def _read(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return sorted((json.loads(line) for line in lines), key=lambda run: int(run["seed"]))


def _settings() -> str:
    """Return a name for runs with the same settings, which may be counted together."""
    direct = (runs.SERVICES, runs.RATE, runs.FASTER, runs.SECONDS, runs.CONFIDENCE, runs.LOOKS, FIRST_SECONDS, SEEDS)
    served_too = (served.FIRST, served.GAP, served.TOKENS, served.LOADS, served.SECONDS)
    settings = repr((*direct, *served_too))
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
