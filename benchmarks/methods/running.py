"""Run one example as a user does, and return the figures of its report for the table."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.methods.cases import Case
from benchmarks.methods.staleness import made_with, methods_of
from benchmarks.tooling import CACHE

WORK: Final = CACHE / "benchmark-methods"
VERDICTS: Final = (0, 3)


def run_case(case: Case) -> dict[str, Any] | None:
    """Return the figures of a run; None, with its output on stderr, if it ended without a report."""
    workdir = WORK / case.name
    command = [sys.executable, "-c", _CHILD, str(case.path), str(workdir)]
    began = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = round(time.monotonic() - began, 1)
    if ended.returncode not in VERDICTS:
        sys.stderr.write(ended.stdout[-2000:] + ended.stderr[-4000:])
        return None
    peak = int(ended.stdout.strip().splitlines()[-1])
    report = json.loads((workdir / "report.json").read_text())
    return figures(report, peak) | {"runSeconds": seconds, "madeWith": made_with(methods_of(report), [case])}


def model_name(source: str) -> str:
    """Return the sample of a model: the last meaningful name of its location."""
    place = Path(source)
    return place.parent.name if place.stem == "model" else place.name


def figures(report: dict[str, Any], peak_bytes: int) -> dict[str, Any]:
    """Return the table's figures of a report."""
    before, after = report["baseline"], report["compressed"]
    return {
        "task": report["job"]["spec"]["model"]["task"],
        "model": model_name(report["job"]["spec"]["model"]["source"]),
        "metric": report["job"]["spec"]["sla"].get("quality", {}).get("metric"),
        "pipeline": report["job"]["spec"]["pipeline"],
        "verdict": report["verdict"],
        "objectives": [{key: item[key] for key in _OBJECTIVE} for item in report["objectives"]],
        "anomalies": report["anomalies"],
        "sizeBytes": [before["sizeBytes"], after["sizeBytes"]],
        "quality": {name: [before["quality"][name], after["quality"][name]] for name in after["quality"]},
        "qualityDrops": report["qualityDrops"],
        "speedups": report["speedups"],
        "latencySeconds": [before["latencySeconds"], after["latencySeconds"]],
        "memoryBytes": [before["peakMemoryBytes"], after["peakMemoryBytes"]],
        "stages": [
            {key: stage[key] for key in ("name", "method", "seconds", "sizeBytes")} for stage in report["stages"]
        ],
        "runPeakBytes": peak_bytes,
        "versions": report["provenance"]["versions"],
        "machine": report["environment"]["machine"],
        "notes": report["environment"]["notes"],
    }


_OBJECTIVE: Final = ("name", "limit", "direction", "measured", "low", "high", "verdict")
# A child process, so that the peak of its memory is known when it ends.
_CHILD: Final = """
import resource, subprocess, sys
manifest, workdir = sys.argv[1:]
run = [sys.executable, "-m", "compression_runner", "run", manifest, "--workdir", workdir]
status = subprocess.run(run, stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
"""

__all__ = ["WORK", "figures", "run_case"]
