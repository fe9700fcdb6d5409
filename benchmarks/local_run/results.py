"""Compare the two results: size, quality against the same FP32 model, and latency."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tooling import interval
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.evaluation.answers.answers import answers
from compression_runner.evaluation.machine.cpus import usable_cpus
from compression_runner.evaluation.machine.noise import noise_between, noise_notes, read_noise
from compression_runner.evaluation.quality.comparison import embedding_quality
from compression_runner.evaluation.speed.latency import LatencyPlan, measure_latency
from compression_runner.evaluation.speed.latency_run import QUANTILES
from compression_runner.evaluation.speed.system_under_test import system_under_test
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import Predictor
from compressionjob.spec import Benchmark, EvaluationData

CONFIDENCE = 0.95
SECONDS = 120.0


@dataclass(frozen=True)
class Models:
    """The ONNX files to compare: the FP32 export, our result and Olive's."""

    full: Path
    ours: Path
    olive: Path


def compare(models: Models, model_dir: Path, data: Path) -> dict[str, Any]:
    """Return size, quality and latency of both results, measured in alternating blocks."""
    benchmark = Benchmark()
    evaluation = load_samples(
        EvaluationData(source=f"file://{data}"),
        data,
        task="text-embedding",
        model_dir=model_dir,
        sequence_length=benchmark.sequence_length,
    )
    threads = usable_cpus()
    before = read_noise()
    with OnnxPredictor(models.ours, threads) as ours, OnnxPredictor(models.olive, threads) as olive:
        sides = [system_under_test(predictor, evaluation, benchmark) for predictor in (olive, ours)]
        run = measure_latency(sides[0], sides[1], LatencyPlan(CONFIDENCE, None, SECONDS))
        noise = noise_between(before, read_noise())
        quality = _quality(models.full, {"ours": ours, "olive": olive}, evaluation, threads)
    latencies = {
        name: {tool: interval(run.percentile(side, name, CONFIDENCE)) for side, tool in enumerate(("olive", "ours"))}
        for name in QUANTILES
    }
    return {
        "sizeBytes": {"ours": models.ours.stat().st_size, "olive": models.olive.stat().st_size},
        "quality": quality,
        "latencySeconds": latencies,
        "oliveLatencyOverOurs": {
            name: interval(speedup) for name in QUANTILES if (speedup := run.speedup(name, CONFIDENCE))
        },
        "queriesPerModel": sum(len(block) for block in run.latencies(1)),
        "notes": [*run.notes, *noise_notes(noise)],
        "noise": noise.to_report().to_json(),
    }


def _quality(
    full: Path, predictors: dict[str, Predictor], data: SampleSet, threads: int
) -> dict[str, dict[str, dict[str, float]]]:
    with OnnxPredictor(full, threads) as baseline:
        expected = answers(baseline, data, "text-embedding", 1)
    scores_by_tool: dict[str, dict[str, dict[str, float]]] = {}
    for side, predictor in predictors.items():
        scores = embedding_quality(expected, answers(predictor, data, "text-embedding", 1), CONFIDENCE).scores
        scores_by_tool[side] = {metric: interval(score.compressed) for metric, score in scores.items()}
    return scores_by_tool
