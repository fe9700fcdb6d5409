"""`python -m benchmarks.local_run [--repeats N]`: both tools in turn, a comparison, results.json and README.md."""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.local_run.results import Models, compare
from benchmarks.local_run.table import write_table
from benchmarks.local_run.tools import olive_python, run_olive, run_ours
from benchmarks.methods.staleness import current, made_with, methods_of
from benchmarks.tooling import CACHE, Cost
from compression_runner.evaluation.machine.noise import machine, noise_between, noise_notes, read_noise

HERE: Final = Path(__file__).parent
GRAPH: Final = "model.onnx"


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_run", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each tool (default 3)")
    repeats = parser.parse_args().repeats
    work = CACHE / "benchmark-local-run"
    shutil.rmtree(work, ignore_errors=True)
    model, data = work / "minilm", work / "sentences" / "sentences.parquet"
    for name, folder in (("minilm", model), ("sentences", data.parent)):
        subprocess.run([sys.executable, "-m", "samples", name, str(folder)], check=True)
    python = olive_python()
    before = read_noise()
    runs: list[dict[str, Any]] = []
    for index in range(repeats):
        _say(f"run {index + 1} of {repeats}")
        ours, report = run_ours(model, data, work / f"ours-{index}")
        olive, olive_model = run_olive(model, work / f"olive-{index}", python)
        runs.append({"ours": _cost(ours) | _told(report), "olive": _cost(olive)})
    notes = noise_notes(noise_between(before, read_noise()))
    ours_work = work / f"ours-{repeats - 1}"
    made = {stage["method"]: ours_work / "checkpoints" / stage["fingerprint"] / GRAPH for stage in report["stages"]}
    _say("comparing the results")
    compared = compare(Models(made["export"], made["quantize"], olive_model), model, data)
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "oliveVersion": _version(python),
        "verdict": report["verdict"],
        "runs": runs,
        "compared": compared,
        "notes": notes,
        "madeWith": {"compression-runner": made_with(methods_of(report))},
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_table(HERE / "README.md", results, current())
    _say(f"wrote {HERE.name}/results.json and README.md")
    return 0


def _cost(cost: Cost) -> dict[str, Any]:
    found = asdict(cost)
    return {"wallSeconds": found["wall_seconds"], "cpuSeconds": found["cpu_seconds"], "peakBytes": found["peak_bytes"]}


def _told(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's own report says of its time, and of the speed-up that it found."""
    return {"timings": report["timings"], "speedupP50": report["speedups"]["p50"], "verdict": report["verdict"]}


def _version(python: Path) -> str:
    program = "import importlib.metadata as m; print(m.version('olive-ai'))"
    return subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
