"""`python -m benchmarks.local_run [--repeats N]`: run both tools in turn, compare them, and write README.md.

Complete runs are kept: an interrupted benchmark continues with the next run, and more repeats add to existing ones.
After a change of this project's code, or of the tools, all runs are repeated.
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
from compression_runner.evaluation.machine.description import machine
from compression_runner.evaluation.machine.noise import noise_between, noise_notes, read_noise

HERE: Final = Path(__file__).parent
GRAPH: Final = "model.onnx"
FOLDER: Final = CACHE / "benchmark-local-run"


@dataclass(frozen=True)
class Setup:
    """The setup of every run: inputs, a folder for its runs, and Python's interpreter and environment."""

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
    """Return the setup of this version of the code, created if missing; remove runs of other versions."""
    work = FOLDER / _state()
    for other in FOLDER.glob("*"):
        if other != work:
            shutil.rmtree(other)
    python = olive_python()
    # Byte code is written before the runs, as by an installation with pip.
    environment = {"PYTHONPYCACHEPREFIX": str(work / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    setup = Setup(work, python, environment)
    ready = work / "ready"
    if not ready.exists():
        shutil.rmtree(work, ignore_errors=True)
        for name, folder in (("minilm", setup.model), ("sentences", setup.data.parent)):
            subprocess.run([sys.executable, "-m", "samples", name, str(folder)], check=True)
        _say("warm-up: one run of each tool writes the libraries' byte code")
        _run(setup, "uncounted")
        ready.touch()
    return setup


def _kept_run(setup: Setup, name: str) -> dict[str, Any]:
    """Return the record of a run, which may come from an interrupted benchmark."""
    record = setup.work / f"run-{name}.json"
    if not record.is_file():
        record_content = _run(setup, name)
        partial = record.with_suffix(".partial")
        partial.write_text(json.dumps(record_content, indent=1))
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
        "ours": _cost(cost) | {"phases": [phase.to_json() for phase in phases]} | _summary(report),
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
    fields = asdict(cost)
    return {
        "wallSeconds": fields["wall_seconds"],
        "cpuSeconds": fields["cpu_seconds"],
        "peakBytes": fields["peak_bytes"],
    }


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return times, speed-up and verdict of a run's report."""
    return {"timings": report["timings"], "speedupP50": report["speedups"]["p50"], "verdict": report["verdict"]}


def _version(python: Path) -> str:
    program = "import importlib.metadata as m; print(m.version('olive-ai'))"
    return subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
