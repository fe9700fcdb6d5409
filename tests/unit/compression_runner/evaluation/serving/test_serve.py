"""Both models of a job on a stand-in for its engine, from the folders to the report's part."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from compression_runner.dataset import SampleSet
from compression_runner.dataset.windows import windows
from compression_runner.evaluation.serving import find_rate
from compression_runner.evaluation.serving.serve import ServedModels, ServingLimits, commands_of, serve
from compression_runner.inference.serving import vllm
from compressionjob.estimate import UNBOUNDED_RATE, Estimate
from compressionjob.pod_interface import ENGINES_VARIABLE
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.engines import stand_in_vllm

GIB = vllm.GIB
TEXT = ["in the beginning was the word and the word was made of bytes and there were many of them"] * 10


@pytest.fixture
def spec() -> CompressionJobSpec:
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": "s3://models/llama", "task": "text-generation"},
            "data": {"evaluation": {"source": "s3://data/text.parquet"}},
            "benchmark": {
                "engine": "vllm",
                "serving": {"promptTokens": 8, "outputTokens": 2, "concurrency": 2},
            },
            "pipeline": [{"prune": {"sparsity": "0.5"}}],
            "sla": {"ttft": {"percentile": "p50", "max": "1h"}},
            "output": {"destination": "s3://models/out"},
        }
    )


def test_no_server_is_started_again_for_its_version(
    spec: CompressionJobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server at a time: when the last answer has come, either of them runs."""
    stand_in_vllm(tmp_path, '{"ttft": 0.002, "ttft_more": 0.0, "gap": 0.0, "gap_more": 0.0}')
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    events: list[str] = []
    read_version = vllm.version_at

    def version_at(url: str) -> str:
        events.append("version")
        return read_version(url)

    def look(estimates: Mapping[str, Estimate | None], requests: int) -> bool:
        events.append("look")
        return True

    monkeypatch.setattr(vllm, "version_at", version_at)
    tiny_models.llama(tmp_path / "llama")
    samples, padding = windows(TEXT, tmp_path / "llama", 16, 20)  # type: ignore[arg-type]
    models = ServedModels(tmp_path, tmp_path, tmp_path / "serving", memory_bytes=GIB)
    limits = ServingLimits(confidence=0.9, seconds=20.0, threads=1)
    assert spec.benchmark.serving
    data = SampleSet(samples, "sha256:0", padding=padding)
    served = serve(spec, spec.benchmark.serving, models, data, limits, look, lambda _: None)
    assert events == ["version", "look"]
    assert served.report
    assert (served.report.engine, served.report.resident) == ("vllm 1.2.3", False)


def test_the_highest_rate_is_searched_and_tested_on_both_servers(
    spec: CompressionJobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of an hour holds at every rate, so that this depends on no machine: there is no upper end."""
    stand_in_vllm(tmp_path, '{"ttft": 0.01, "ttft_more": 0.0, "gap": 0.0, "gap_more": 0.0}')
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    monkeypatch.setattr(find_rate, "MOST_TRIALS", 1)
    manifest = spec.to_json()
    manifest["benchmark"]["serving"] = {"promptTokens": 8, "outputTokens": 2, "findMaxRate": True}
    manifest["sla"]["goodput"] = {"min": "0.001", "minRatio": "0.9"}
    job = CompressionJobSpec.model_validate(manifest)
    looks: list[Mapping[str, Estimate | None]] = []

    def look(estimates: Mapping[str, Estimate | None], requests: int) -> bool:
        looks.append(estimates)
        return False

    tiny_models.llama(tmp_path / "llama")
    samples, padding = windows(TEXT, tmp_path / "llama", 16, 20)  # type: ignore[arg-type]
    models = ServedModels(tmp_path, tmp_path, tmp_path / "serving", memory_bytes=64 * GIB)
    limits = ServingLimits(confidence=0.9, seconds=15.0, threads=1)
    assert job.benchmark.serving
    data = SampleSet(samples, "sha256:0", padding=padding)
    served = serve(job, job.benchmark.serving, models, data, limits, look, lambda _: None)
    assert looks
    assert served.report
    # On a busy machine the time may end before the compressed model has answered at a rate that is tested.
    assert set(served.estimates) - {"ttft"} == {"goodput", "goodput.ratio"}
    assert served.estimates["goodput"].high == UNBOUNDED_RATE
    assert served.estimates["goodput.ratio"].low == 0.0
    assert served.report.find_max_rate
    for model in (served.report.baseline, served.report.compressed):
        assert model.failed == 0
        assert "trial" in [one.limits for one in model.rates]  # and tests of one block, if the time ends there


def test_the_memory_of_the_runner_is_not_free_for_servers(
    spec: CompressionJobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_vllm(tmp_path)
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    assert spec.benchmark.serving
    # Without weights, two servers need 8 GiB: 3 GiB each, and 1 GiB of cache.
    for extra, together in ((1, False), (64 * GIB, True)):
        models = ServedModels(tmp_path, tmp_path, tmp_path / "serving", memory_bytes=8 * GIB + extra)
        assert commands_of(spec.benchmark.serving, models, threads=1).resident is together
