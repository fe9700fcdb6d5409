"""`python -m benchmarks.local_run [--repeats N]`: both tools in turn, a comparison, results.json and README.md.

A run that is complete is kept: who stops the benchmark and starts it again goes on with the next run, and more repeats
are added to those that are there. After a change of this project's code, or of the tools, all runs are made again.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import compression_runner
import compressionjob
from benchmarks.local_run.results import Models, compare
from benchmarks.local_run.table import write_table
from benchmarks.local_run.tools import REQUIREMENTS, olive_python, olive_result, run_olive, run_ours
from benchmarks.methods.staleness import current, made_with, methods_of
from benchmarks.tooling import CACHE, Cost
from compression_runner.evaluation.machine.noise import machine, noise_between, noise_notes, read_noise

HERE: Final = Path(__file__).parent
GRAPH: Final = "model.onnx"
FOLDER: Final = CACHE / "benchmark-local-run"


@dataclass(frozen=True)
class Setup:
    """What every run of the benchmark has: inputs, a folder for its runs, and how Python is started."""

    work: Path
    python: Path
    environment: Mapping[str, str]

    @property
    def model(self) -> Path:
        """Return the folder of the source model."""
        return self.work / "minilm"

    @property
    def data(self) -> Path:
        """Return the file of the evaluation data."""
        return self.work / "sentences" / "sentences.parquet"

    def folders(self, name: str) -> tuple[Path, Path]:
        """Return the folders of a run: this project's, and Olive's."""
        return self.work / f"ours-{name}", self.work / f"olive-{name}"


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_run", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each tool (default 3)")
    repeats = parser.parse_args().repeats
    setup = _prepared()
    runs = []
    for index in range(repeats):
        _say(f"run {index + 1} of {repeats}")
        runs.append(_kept_run(setup, str(index)))
    ours, olive = setup.folders(str(repeats - 1))
    report = json.loads((ours / "report.json").read_text())
    made = {stage["method"]: ours / "checkpoints" / stage["fingerprint"] / GRAPH for stage in report["stages"]}
    _say("comparing the results")
    models = Models(made["export"], made["quantize"], olive_result(olive))
    notes = {note for run in runs for note in run.pop("notes")}
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "oliveVersion": _version(setup.python),
        "verdict": report["verdict"],
        "runs": runs,
        "compared": compare(models, setup.model, setup.data),
        "notes": sorted(notes),
        "madeWith": {"compression-runner": made_with(methods_of(report))},
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_table(HERE / "README.md", results, current())
    _say(f"wrote {HERE.name}/results.json and README.md")
    return 0


def _prepared() -> Setup:
    """Return the setup of this state of the code, made where it is missing; runs of other states are removed."""
    work = FOLDER / _state()
    for other in FOLDER.glob("*"):
        if other != work:
            shutil.rmtree(other)
    python = olive_python()
    # Byte code as after an installation by pip, whatever the environment says: it is no part of a run.
    environment = {"PYTHONPYCACHEPREFIX": str(work / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    setup = Setup(work, python, environment)
    ready = work / "ready"
    if not ready.exists():
        shutil.rmtree(work, ignore_errors=True)
        for name, folder in (("minilm", setup.model), ("sentences", setup.data.parent)):
            subprocess.run([sys.executable, "-m", "samples", name, str(folder)], check=True)
        _say("one run of each that does not count: it writes the libraries' byte code")
        _run(setup, "uncounted")
        ready.touch()
    return setup


def _kept_run(setup: Setup, name: str) -> dict[str, Any]:
    """Return the record of a run: that of an earlier start of the benchmark where there is one."""
    record = setup.work / f"run-{name}.json"
    if not record.is_file():
        made = _run(setup, name)
        partial = record.with_suffix(".partial")
        partial.write_text(json.dumps(made, indent=1))
        partial.replace(record)
    run: dict[str, Any] = json.loads(record.read_text())
    return run


def _run(setup: Setup, name: str) -> dict[str, Any]:
    """Run both tools in turn, with empty caches."""
    ours, olive = setup.folders(name)
    for folder in (ours, olive):
        shutil.rmtree(folder, ignore_errors=True)
    before = read_noise()
    cost, phases, report = run_ours(setup.model, setup.data, ours, setup.environment)
    olive_cost, _ = run_olive(setup.model, olive, setup.python, setup.environment)
    return {
        "ours": _cost(cost) | {"phases": [phase.to_json() for phase in phases]} | _told(report),
        "olive": _cost(olive_cost),
        "notes": noise_notes(noise_between(before, read_noise())),
    }


def _state() -> str:
    """Return a digest of the code that runs, and of Olive's requirements."""
    packages = [Path(next(iter(package.__path__))) for package in (compression_runner, compressionjob)]
    files = [path for package in (*packages, HERE) for path in sorted(package.rglob("*.py"))]
    digest = hashlib.sha256()
    for path in (*files, REQUIREMENTS):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


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
