"""`python -m benchmarks.peers`: run every tool on every subject, and write results.json and README.md."""

import argparse
import json
import shutil
import sys
from datetime import UTC, datetime
from typing import Any

from benchmarks.methods.staleness import current
from benchmarks.peers.comparison import compare
from benchmarks.peers.subjects import SUBJECTS, Ready, ready
from benchmarks.peers.table import README, RESULTS, render
from benchmarks.peers.tools import TOOLS, NotPossible, versions
from benchmarks.tooling import CACHE, ToolFailedError
from compression_runner.evaluation.machine.description import machine
from compression_runner.evaluation.machine.noise import noise_between, noise_notes, read_noise


def main() -> int:
    """Run the comparison."""
    argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__).parse_args()
    before = read_noise()
    subjects, made_with = {}, {}
    for subject in SUBJECTS:
        prepared = ready(subject)
        subjects[subject.title] = _rows(prepared)
        made_with[subject.title] = prepared.made_with
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "versions": versions(),
        "subjects": subjects,
        "madeWith": made_with,
        "notes": noise_notes(noise_between(before, read_noise())),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    README.write_text(render(results, current()))
    _say("wrote benchmarks/peers/results.json and README.md")
    return 0


def _rows(subject: Ready) -> dict[str, Any]:
    _say(subject.subject.title)
    rows = {"compression-runner": {**compare(subject, subject.ours), "seconds": subject.seconds}}
    work = CACHE / "benchmark-peers" / subject.subject.example
    shutil.rmtree(work, ignore_errors=True)
    for name, tool in TOOLS.items():
        _say(f"    {name}")
        try:
            made = tool(subject, work / name.replace(" ", "-").lower())
            cost = {"seconds": made.cost.wall_seconds, "peakBytes": made.cost.peak_bytes}
            rows[name] = {**compare(subject, made.graph), **cost}
        except NotPossible as reason:
            rows[name] = {"problem": str(reason)}
        except ToolFailedError as error:
            rows[name] = {"problem": "it failed: " + " ".join(str(error).splitlines()[-1].split())[:200]}
    return rows


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
