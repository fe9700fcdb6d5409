"""`python -m benchmarks.loadgen [--threads N] [--ahead]`: compare LoadGen with a bare loop; write README.md."""

import argparse
import importlib.metadata
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.loadgen.timing import compare
from compression_runner.artifact import seal
from compression_runner.dataset.loading import load_samples
from compression_runner.evaluation.machine.description import machine
from compression_runner.evaluation.machine.noise import noise_between, noise_notes, read_noise
from compression_runner.evaluation.speed.system_under_test import system_under_test
from compression_runner.formats.onnx_files import GRAPH
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.data import EvaluationData
from compressionjob.field_types import format_duration
from compressionjob.spec import Benchmark
from samples.text import minilm, sentences

HERE: Final = Path(__file__).parent
START: Final = "<!-- results: written by python -m benchmarks.loadgen -->"
END: Final = "<!-- end of results -->"


def main() -> int:
    """Measure, and write results.json and README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loadgen", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="threads of MiniLM (default 1)")
    parser.add_argument("--ahead", action="store_true", help="run before all other processes (SCHED_FIFO; needs root)")
    chosen = parser.parse_args()
    if chosen.ahead:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    before = read_noise()
    timings = {
        "a query that does nothing": compare(lambda query: None, queries=2000, samples=64, pairs=30),
        "MiniLM": _minilm(chosen.threads),
    }
    noise = noise_between(before, read_noise())
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "versions": {name: importlib.metadata.version(name) for name in ("mlcommons-loadgen", "onnxruntime")},
        "threads": chosen.threads,
        "ahead": chosen.ahead,
        "noise": noise.to_report().to_json(),
        "notes": noise_notes(noise),
        "found": timings,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    page = HERE / "README.md"
    head, rest = page.read_text().split(START)
    page.write_text(f"{head}{START}\n{_table(results)}\n{END}{rest.split(END)[1]}")
    sys.stderr.write("wrote benchmarks/loadgen/results.json and its README.md\n")
    return 0


def _minilm(threads: int) -> dict[str, Any]:
    """Compare queries of one text of 128 tokens with the float32 graph."""
    with tempfile.TemporaryDirectory() as folder:
        source, exported = Path(folder) / "minilm", Path(folder) / "onnx"
        minilm(source)
        sentences(Path(folder))
        exported.mkdir()
        sealed = seal(source, "transformers", "text-embedding")
        METHODS["export", ""].run(sealed, None, StageContext(exported, "spec.pipeline[0].export"))
        data = load_samples(
            EvaluationData(source=f"file://{folder}/sentences.parquet", limit=64),
            Path(folder) / "sentences.parquet",
            task="text-embedding",
            model_dir=source,
            sequence_length=Benchmark().sequence_length,
        )
        with OnnxPredictor(exported / GRAPH, threads) as predictor:
            side = system_under_test(predictor, data, Benchmark())
            return compare(side.answer, queries=25, samples=side.queries, pairs=30)


def _table(results: dict[str, Any]) -> str:
    lines = ["| query | bare loop p50 / p99 | LoadGen p50 / p99 | p50, LoadGen / loop |", "|---|---|---|---|"]
    for name, timings in results["found"].items():
        cells = [
            " / ".join(format_duration(timings[way][which]["value"]) for which in ("p50", "p99"))
            for way in ("bare", "loadgen")
        ]
        ratio = timings["p50Ratio"]
        lines.append(
            f"| {name} | {cells[0]} | {cells[1]} | "
            f"{ratio['value']:.4f} ({ratio['low']:.4f} to {ratio['high']:.4f}), {timings['queries']} queries each |"
        )
    ours, versions = results["machine"], results["versions"]
    about = (
        f"{ours['cpu']}, {ours['cpus']} CPUs, MiniLM on {results['threads']} thread, {results['date']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ("; at real-time priority" if results["ahead"] else "")
        + f". During the runs: {'; '.join(results['notes']) or 'no other work'}; the runs lost "
        f"{results['noise']['lostShare']:.1%} of their time to it."
    )
    return "\n".join([*lines, "", about])


if __name__ == "__main__":
    sys.exit(main())
