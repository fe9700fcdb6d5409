"""`python -m benchmarks.truth [--runs N] [--machine quiet|loaded] [--fresh]`: how often verdicts are right.

Runs that were made are kept in the cache, and a second call goes on from there; --fresh begins again, as it must when
the measuring has changed.
"""

import argparse
import hashlib
import json
import shutil
import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.tooling import CACHE
from benchmarks.truth import runs
from benchmarks.truth.table import counts_of, write_table
from compression_runner.evaluation.machine.noise import machine

HERE: Final = Path(__file__).parent
RUNS: Final = 200
MACHINES: Final = {"quiet": runs.undisturbed, "loaded": runs.loaded}
SCENARIOS: Final = ("SingleStream", "Server")


def main() -> int:
    """Run what is missing and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each kind (default {RUNS})")
    parser.add_argument("--machine", choices=(*MACHINES, "both"), default="both", help="default both")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were made")
    chosen = parser.parse_args()
    kept = CACHE / "truth" / _settings()
    if chosen.fresh:
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    for name in MACHINES if chosen.machine == "both" else (chosen.machine,):
        for scenario in SCENARIOS:
            _go_on(kept / f"{scenario}-{name}.jsonl", scenario, MACHINES[name], chosen.runs)
    quality = [runs.quality_run(seed) for seed in range(RUNS)]
    found = {
        f"{scenario}, {name}": counts_of(made)
        for name in MACHINES
        for scenario in SCENARIOS
        if (made := _read(kept / f"{scenario}-{name}.jsonl"))
    }
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "confidence": runs.CONFIDENCE,
        "margins": runs.MARGINS,
        "runs": {**found, "quality": counts_of(quality)},
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_table(HERE / "README.md", results)
    sys.stderr.write("wrote benchmarks/truth/results.json and its README.md\n")
    return 0


def _go_on(path: Path, scenario: str, around: Any, wanted: int) -> None:
    """Make the runs that are missing, each a line of the file."""
    made = {run["seed"] for run in _read(path)}
    missing = [seed for seed in range(wanted) if seed not in made]
    if not missing:
        return
    with runs.undisturbed():
        truth = runs.truth_of(scenario)
    context: AbstractContextManager[None] = around()
    with context, path.open("a") as file:
        for seed in missing:
            file.write(json.dumps(runs.run(scenario, truth, seed)) + "\n")
            file.flush()
            if seed % 20 == 19:
                sys.stderr.write(f"{path.stem}: {seed + 1} of {wanted}\n")


def _read(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return sorted((json.loads(line) for line in lines), key=lambda run: int(run["seed"]))


def _settings() -> str:
    """Return a name for runs that may be counted together: those of the same settings."""
    told = repr((runs.MARGINS, runs.SERVICES, runs.RATE, runs.FASTER, runs.SECONDS, runs.CONFIDENCE))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
