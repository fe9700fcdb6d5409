"""Measure each tool's result against the same float graph: size, quality and speed."""

from pathlib import Path
from typing import Any, Final

from benchmarks.peers.subjects import Ready
from benchmarks.tooling import interval
from compression_runner.evaluation.answers.answers import answers
from compression_runner.evaluation.quality.comparison import Quality, classification_quality, embedding_quality
from compression_runner.evaluation.speed.latency import LatencyPlan, measure_latency
from compression_runner.evaluation.speed.system_under_test import system_under_test
from compression_runner.formats.onnx_files import external_files
from compression_runner.inference.onnx import OnnxPredictor

CONFIDENCE: Final = 0.95
SECONDS: Final = 30.0


def compare(ready: Ready, graph: Path) -> dict[str, Any]:
    """Return the size of all files, the lost quality, and the speed-up at p50 in alternating blocks."""
    task, benchmark = ready.spec.model.task, ready.spec.benchmark
    threads = benchmark.threads or 2
    with OnnxPredictor(ready.full, threads) as full, OnnxPredictor(graph, threads) as result:
        old, new = (answers(predictor, ready.evaluation, task, 1) for predictor in (full, result))
        labels = ready.evaluation.labels
        quality: Quality
        if task == "text-embedding":
            metric, quality = "cosine", embedding_quality(old, new, CONFIDENCE)
        else:
            metric, quality = "accuracy", classification_quality(old, new, labels, CONFIDENCE)
        sides = [system_under_test(predictor, ready.evaluation, benchmark) for predictor in (full, result)]
        run = measure_latency(sides[0], sides[1], LatencyPlan(CONFIDENCE, None, SECONDS))
    lost = quality.scores[metric].drop  # type: ignore[index]
    assert lost
    return {
        "sizeRatio": _size(graph) / _size(ready.full),
        "metric": metric,
        "lost": interval(lost),
        "speedup": interval(run.service_speedup(CONFIDENCE)),
    }


def _size(graph: Path) -> int:
    """Return the bytes of the graph and its external weights."""
    return sum(place.stat().st_size for place in (graph, *external_files(graph)))
