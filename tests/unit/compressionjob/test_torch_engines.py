"""Engines of PyTorch: which jobs they measure. The API server's answers are in invalid_jobs.yaml."""

from typing import Any

import pytest

from compressionjob.engines import COMPILING_ENGINES, GPU_ENGINES, TORCH_ENGINES
from compressionjob.errors import InvalidSpec
from compressionjob.gpu_engines import runtime_without_gpu
from compressionjob.spec import parse_job
from tests.support.manifests import job

CAST = [{"quantize": {"method": "cast", "dtype": "bfloat16"}}]
CALIBRATION = {"source": "s3://data/calibration.parquet"}


def in_torch(engine: str = "torch", **changes: Any) -> dict[str, Any]:
    return job(**{"spec__pipeline": CAST, "spec__benchmark": {"engine": engine}, **changes})


@pytest.mark.parametrize("engine", TORCH_ENGINES)
def test_an_engine_of_pytorch_needs_no_other_field(engine: str) -> None:
    assert parse_job(in_torch(engine)).spec.benchmark.engine == engine


@pytest.mark.parametrize(
    "pipeline",
    [
        [{"prune": {"method": "wanda", "sparsity": "0.5", "pattern": "2:4"}}, {"pack": {}}],
        [{"prune": {"method": "structured", "structure": "layers", "sparsity": "0.5"}}, *CAST],
        [{"distill": {"student": {"layers": 2}}}, {"recover": {}}],
    ],
)
def test_stages_that_keep_a_transformers_folder_are_measured(pipeline: list[Any]) -> None:
    changes = {"spec__data__training": CALIBRATION, "spec__data__calibration": {"source": "s3://data/other.parquet"}}
    assert len(parse_job(in_torch(spec__pipeline=pipeline, **changes)).spec.pipeline) == 2


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"spec__model__task": "onnx"}, "spec.model.task", "name the task of such a model"),
        ({"spec__model__format": "onnx"}, "spec.model.format", "name the folder of such a model"),
        ({"spec__output__format": "onnx"}, "spec.output.format", "use auto"),
        ({"spec__output__format": "openvino"}, "spec.output.format", "use auto"),
        ({"spec__output__format": "torch-export", "spec__pipeline": [{"prune": {"sparsity": "0.5"}}]},
         "spec.output.format", "use auto"),
        ({"spec__pipeline": [{"quantize": {}}]}, "spec.pipeline", "only method cast with dtype bfloat16"),
        ({"spec__pipeline": [{"quantize": {"method": "cast", "dtype": "float16"}}]}, "spec.pipeline", "bfloat16"),
        ({"spec__pipeline": [{"factorize": {"budget": "0.9"}}]}, "spec.pipeline", "use distill or prune"),
        ({"spec__pipeline": [{"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}}]},
         "spec.pipeline", "use structure layers"),
    ],
)  # fmt: skip
def test_jobs_without_a_folder_that_pytorch_loads_are_refused(changes: dict[str, Any], field: str, remedy: str) -> None:
    changes = changes | ({"spec__sla__quality": {"maxDrop": "0.01"}} if "spec__model__task" in changes else {})
    with pytest.raises(InvalidSpec) as refused:
        parse_job(in_torch("torch-compile", **changes))
    (problem,) = refused.value.problems
    assert (problem.field, problem.value) == (field, "torch-compile")
    assert remedy in problem.remedy
    assert "leave spec.benchmark.engine out" in problem.remedy
    parse_job(in_torch("auto", **changes))


def test_memory_of_the_host_is_limited_on_the_cpu_only() -> None:
    for engine in TORCH_ENGINES:
        manifest = in_torch(engine, spec__sla__memory={"max": "1Gi"})
        if engine in GPU_ENGINES:
            with pytest.raises(InvalidSpec, match=r"limit sla\.size instead"):
                parse_job(manifest)
        else:
            parse_job(manifest)


def test_engines_on_a_gpu_need_a_runtime_with_one() -> None:
    refused = {engine for engine in TORCH_ENGINES if list(runtime_without_gpu(engine, "edge", {"cpu": "4"}))}
    assert refused == {"torch-cuda", "torch-compile-cuda"}
    assert set(COMPILING_ENGINES) == {engine for engine in TORCH_ENGINES if "compile" in engine}
