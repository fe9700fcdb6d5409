"""A job that is measured in PyTorch has no graphs in its plan, and what PyTorch does not load is refused early."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from compression_runner.commands.plan import plan
from compression_runner.commands.run import run
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.source.inspection import inspect
from compression_runner.pipeline.planner import make_plan
from compression_runner.pipeline.torch_check import check_torch
from compressionjob.exit_codes import ExitCode
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.plans import open_store

CAST = {"quantize": {"method": "cast", "dtype": "bfloat16"}}


def spec(source: Path, *stages: dict[str, Any], **changes: Any) -> CompressionJobSpec:
    given = {
        "model": {"source": f"file://{source}", "task": "text-generation"},
        "data": {"evaluation": {"source": "file:///a.parquet"}, "training": {"source": "file:///b.parquet"}},
        "pipeline": list(stages) or [CAST],
        "sla": {"size": {"maxRatio": "0.9"}},
        "benchmark": {"engine": "torch"},
        "output": {"destination": "file:///out"},
    }
    return CompressionJobSpec.model_validate(given | changes)


def checked(job: CompressionJobSpec, source: Path) -> Any:
    seen = inspect(open_store(source), job.model)
    planned = make_plan(job, seen)
    check_torch(job, seen, planned)
    return planned


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("models") / "llama")


def test_folders_are_measured_without_an_export(llama: Path) -> None:
    stages = [{"prune": {"sparsity": "0.5"}}, CAST, {"pack": {}}]
    planned = checked(spec(llama, *stages), llama)
    assert [step.method.name for step in planned.every_step] == ["prune", "quantize", "pack"]
    assert planned.baseline is None
    assert planned.measured is None
    graphs = make_plan(spec(llama, *stages, benchmark={}), inspect(open_store(llama), spec(llama).model))
    assert "export" in [step.method.name for step in graphs.every_step]
    assert planned.fingerprint == graphs.fingerprint, "the engine is no part of what a stage gives"


def test_results_of_earlier_stages_are_measured_without_an_export(llama: Path) -> None:
    job = spec(
        llama, {"prune": {"sparsity": "0.5"}}, CAST, sla={"size": {"maxRatio": "0.9"}, "onViolation": "Fallback"}
    )
    (candidate,) = checked(job, llama).fallbacks
    assert (candidate.measured, candidate.steps[-1].format) == (None, "transformers")


def test_a_gguf_file_is_measured_as_the_model_that_it_stands_for(llama: Path, tmp_path: Path) -> None:
    file = tiny_models.gguf(tmp_path / "model.gguf", llama)
    planned = checked(spec(file), file)
    assert [step.method.name for step in planned.every_step] == ["import", "quantize"]


def test_a_graph_is_refused_as_the_source(tmp_path: Path) -> None:
    folder = tiny_models.perceptron(tmp_path / "perceptron")
    job = spec(folder, {"prune": {"sparsity": "0.5"}}, model={"source": f"file://{folder}", "task": "text-embedding"})
    onnx_job = spec(folder, {"prune": {"sparsity": "0.5"}}, benchmark={}, model=job.model.to_json() | {"task": "onnx"})
    seen = inspect(open_store(folder), onnx_job.model)
    with pytest.raises(
        InvalidInput, match="engine torch measures Transformers folders, and this gives onnx"
    ) as refused:
        check_torch(job, seen, make_plan(job, seen))
    assert (refused.value.reason, refused.value.field) == ("FormatMismatch", "spec.model.source")


def test_quantized_weights_are_refused_as_the_source(llama: Path, tmp_path: Path) -> None:
    config = json.loads((llama / "config.json").read_text())
    for file in llama.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}}
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    with pytest.raises(InvalidInput, match="its weights are quantized"):
        checked(spec(tmp_path), tmp_path)


def test_a_result_that_is_no_folder_is_refused_with_its_stage(llama: Path) -> None:
    job = spec(llama, {"prune": {"sparsity": "0.5"}})
    heads = {"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}}
    seen = inspect(open_store(llama), job.model)
    other = make_plan(spec(llama, heads, benchmark={}), seen)
    with pytest.raises(BadRecipe, match="this gives onnx; use stages that keep a Transformers folder") as refused:
        check_torch(job, seen, other)
    assert refused.value.field == "spec.pipeline[0].prune"


def manifest(folder: Path, engine: str) -> Path:
    tiny_models.bert(folder / "bert")
    tiny_models.text_data(folder / "sentences.parquet")
    job = {
        "model": {"source": "file://./bert", "task": "text-embedding"},
        "data": {"evaluation": {"source": "file://./sentences.parquet"}},
        "pipeline": [CAST],
        "sla": {"size": {"maxRatio": "0.9"}},
        "benchmark": {"engine": engine, "sequenceLength": 16, "threads": 1},
        "output": {"destination": "file://./out"},
    }
    whole = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "tiny"}}
    (folder / "job.yaml").write_text(yaml.safe_dump(whole | {"spec": job}))
    return folder / "job.yaml"


@pytest.mark.parametrize(
    ("engine", "problem", "remedy"),
    [
        ("torch-cuda", "finds no GPU, or has no CUDA", "with a GPU, or an engine on the CPU"),
        ("torch-compile-cuda", "finds no GPU, or has no CUDA", "with a GPU, or an engine on the CPU"),
        ("torch-compile", "this image has no no-such-compiler", "or the engine without compile"),
    ],
)
def test_what_the_machine_lacks_ends_plan_and_run_before_any_stage(
    engine: str, problem: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    job = manifest(tmp_path, engine)
    assert plan(job, publish=False) == ExitCode.INVALID
    planned = capfd.readouterr().err
    assert run(job, tmp_path / "work", publish=False) == ExitCode.INVALID
    for message in (planned, capfd.readouterr().err):
        assert f"spec.benchmark.engine ({engine})" in message
        assert problem in message
        assert remedy in message
    assert not list((tmp_path / "work").rglob("*.safetensors")), "no stage ran"


def test_plan_names_engine_and_device(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert plan(manifest(tmp_path, "torch"), publish=False) == ExitCode.DONE
    assert "measured against: the source, in torch on 1 CPUs" in " ".join(capfd.readouterr().out.split())
