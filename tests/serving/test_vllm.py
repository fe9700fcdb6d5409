"""A real vLLM on the CPU, with SmolLM2: it is measured under load, and refuses what it cannot load."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from compression_runner.dataset import SampleSet
from compression_runner.dataset.windows import windows
from compression_runner.errors import BadRecipe
from compression_runner.evaluation.serving.serve import Served, ServedModels, ServingLimits, serve
from compressionjob.estimate import UNBOUNDED_SECONDS, Estimate
from compressionjob.spec import CompressionJobSpec
from samples.smollm import smollm2

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("vllm_installed")]

MEMORY = 20 << 30
TEXT = ["In the beginning there was a server, and the server had tokens, and the tokens had gaps between them."] * 60


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    smollm2(folder)
    return folder


@pytest.fixture(scope="session")
def data(model: Path) -> SampleSet:
    samples, padding = windows(TEXT, model, 64, 20)  # type: ignore[arg-type]
    return SampleSet(samples, "sha256:0", padding=padding)


def spec(**serving: Any) -> CompressionJobSpec:
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": "s3://models/smollm2", "task": "text-generation"},
            "data": {"evaluation": {"source": "s3://data/text.parquet"}},
            "benchmark": {"engine": "vllm", "serving": {"promptTokens": 32, **serving}},
            "pipeline": [{"prune": {"sparsity": "0.5"}}],
            "sla": {
                "ttft": {"percentile": "p50", "max": "1h"},
                "interToken": {"percentile": "p90", "max": "1h"},
                "goodput": {"min": "0.001"},
                **({"outputLength": {"minRatio": "0.001"}} if "maxOutputTokens" in serving else {}),
            },
            "output": {"destination": "s3://models/out"},
        }
    )


def measured(job: CompressionJobSpec, models: ServedModels, data: SampleSet) -> tuple[Served, list[int]]:
    """Measure at one look; return the result, and the number of requests at the look."""
    looks: list[int] = []

    def look(estimates: Mapping[str, Estimate | None], requests: int) -> bool:
        looks.append(requests)
        return True

    assert job.benchmark.serving
    limits = ServingLimits(confidence=0.9, seconds=60.0, threads=2)
    served = serve(job, job.benchmark.serving, models, data, limits, look, lambda _: None)
    return served, looks


def test_both_models_are_served_under_the_same_load(model: Path, data: SampleSet, tmp_path: Path) -> None:
    job = spec(concurrency=2, maxOutputTokens=8)
    served, looks = measured(job, ServedModels(model, model, tmp_path / "serving", MEMORY, 2 << 30), data)
    report = served.report
    assert report is not None
    assert report.engine == "vllm 0.32.0"
    assert report.device == "CPU"
    assert report.resident
    assert report.requests == looks[-1]
    for side in (report.baseline, report.compressed):
        assert side.failed == 0
        assert 0 < side.output_tokens <= 8
        assert 0 < side.latencies["ttft"].percentiles["p50"].value < side.latencies["endToEnd"].percentiles["p50"].value
    # Greedy answers of one model to the same prompts have the same lengths.
    assert report.length_ratio is not None
    assert report.length_ratio.value == pytest.approx(1.0, abs=0.05)
    assert served.estimates["ttft"].value < UNBOUNDED_SECONDS
    assert 0 < served.estimates["goodput"].value < 1000


def test_a_checkpoint_that_vllm_refuses_ends_with_its_cause(model: Path, data: SampleSet, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"num_key_value_heads": 5}))
    job = spec(concurrency=2, outputTokens=4)
    with pytest.raises(
        BadRecipe, match=r"vllm does not serve the compressed model: it did not start: .*Error: "
    ) as failed:
        measured(job, ServedModels(model, broken, tmp_path / "serving", MEMORY, 2 << 30), data)
    assert failed.value.reason == "EngineFailed"
    assert "\n" not in failed.value.problem
