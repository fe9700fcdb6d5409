"""A job for a provider that the image lacks ends at preflight: before any stage, and never on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from compression_runner.commands.plan import plan
from compression_runner.commands.run import run
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.provider_check import require_provider
from compressionjob.exit_codes import ExitCode
from tests.support import tiny_models
from tests.support.plans import onnx_spec
from tests.support.providers import use_provider

CAST = [{"quantize": {"method": "cast", "dtype": "float16"}}]


def manifest(folder: Path, engine: str) -> Path:
    """Write a job with its model and data."""
    tiny_models.perceptron(folder / "model", width=8)
    np.savez(folder / "data.npz", x=np.ones((16, 8), np.float32))
    spec = {
        "model": {"source": "file://./model/model.onnx", "task": "onnx"},
        "data": {"evaluation": {"source": "file://./data.npz"}},
        "pipeline": CAST,
        "sla": {"size": {"maxRatio": "0.9"}},
        "benchmark": {"engine": engine},
        "output": {"destination": "file://./out"},
    }
    job = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "gpu"}}
    (folder / "job.yaml").write_text(yaml.safe_dump(job | {"spec": spec}))
    return folder / "job.yaml"


@pytest.mark.parametrize(
    ("engine", "provider"),
    [("onnxruntime-cuda", "CUDAExecutionProvider"), ("onnxruntime-tensorrt", "TensorrtExecutionProvider")],
)
def test_an_absent_provider_ends_plan_and_run_before_any_stage(
    engine: str, provider: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = manifest(tmp_path, engine)
    assert plan(job, publish=False) == ExitCode.INVALID
    planned = capfd.readouterr().err
    assert run(job, tmp_path / "work", publish=False) == ExitCode.INVALID
    for message in (planned, capfd.readouterr().err):
        assert f"spec.benchmark.engine ({engine})" in message
        assert f"of this image has no {provider}" in message
        assert "images/runner-onnxruntime-gpu.Dockerfile" in message
    assert not list((tmp_path / "work").rglob("*.onnx")), "no stage ran"
    assert not (tmp_path / "work" / "report.json").exists()


def test_plan_names_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    use_provider(monkeypatch, "AzureExecutionProvider")
    assert plan(manifest(tmp_path, "onnxruntime-cuda"), publish=False) == ExitCode.DONE
    assert "in onnxruntime-cuda on the GPU" in " ".join(capfd.readouterr().out.split())


def test_jobs_for_the_cpu_need_no_provider() -> None:
    require_provider(onnx_spec())


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    spec = onnx_spec(pipeline=CAST, benchmark={"engine": "onnxruntime-cuda"})
    with pytest.raises(InvalidInput, match="CUDAExecutionProvider does not start") as refused:
        require_provider(spec)
    assert refused.value.reason == "EngineMissing"
