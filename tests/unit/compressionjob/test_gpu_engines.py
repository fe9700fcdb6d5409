"""Engines on a GPU: what they cannot measure, and what their runtime needs."""

from typing import Any

import pytest

from compressionjob.engines import PROVIDER_ENGINES
from compressionjob.errors import InvalidSpec
from compressionjob.gpu_engines import runtime_without_gpu
from compressionjob.spec import parse_job
from tests.support.manifests import job

CAST = [{"quantize": {"method": "cast", "dtype": "float16"}}]


def on_gpu(engine: str = "onnxruntime-cuda", **changes: Any) -> dict[str, Any]:
    return job(**{"spec__pipeline": CAST, "spec__benchmark": {"engine": engine}, **changes})


@pytest.mark.parametrize("engine", PROVIDER_ENGINES)
def test_an_engine_on_a_gpu_needs_no_other_field(engine: str) -> None:
    assert parse_job(on_gpu(engine)).spec.benchmark.engine == engine


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"spec__output__format": "openvino"}, "spec.output.format", "use onnx or auto"),
        (
            {
                "spec__pipeline": [{"quantize": {"method": "static", "backend": "openvino"}}],
                "spec__data__calibration": {"source": "s3://data/other.parquet"},
            },
            "spec.pipeline",
            "use backend onnxruntime",
        ),
        ({"spec__pipeline": [{"quantize": {}}]}, "spec.pipeline", "use quantize with method static or cast"),
        ({"spec__sla__memory": {"max": "1Gi"}}, "spec.sla.memory", "limit sla.size instead"),
    ],
)
def test_parts_that_stay_on_the_cpu_are_refused(changes: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        parse_job(on_gpu(**changes))
    assert [problem.field for problem in refused.value.problems] == [field]
    assert remedy in refused.value.problems[0].remedy
    changes.pop("spec__benchmark", None)
    parse_job(on_gpu("auto", **changes))


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({}, True),
        ({"cpu": "8", "memory": "8Gi"}, True),
        ({"nvidia.com/gpu": "0"}, True),
        ({"amd.com/gpu": "1"}, True),
        ({"nvidia.com/gpu": "1"}, False),
        ({"nvidia.com/gpu.shared": "1"}, False),
        ({"nvidia.com/mig-1g.10gb": "1"}, False),
    ],
)
def test_the_measuring_runtime_needs_a_gpu(limits: dict[str, str], refused: bool) -> None:
    problems = list(runtime_without_gpu("onnxruntime-tensorrt", "edge", limits))
    assert bool(problems) == refused
    for problem in problems:
        assert (problem.field, problem.value) == ("spec.benchmark.engine", "onnxruntime-tensorrt")
        assert "'edge'" in problem.remedy
    assert list(runtime_without_gpu("auto", "edge", limits)) == []
