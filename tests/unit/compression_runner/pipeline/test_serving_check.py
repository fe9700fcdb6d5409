"""The serving engine of a job is checked against its models before anything runs."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from compression_runner.artifact import Format
from compression_runner.dataset.text_lengths import LengthLimit
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.source.inspection import Source
from compression_runner.inference.serving import vllm
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline.planner import Candidate, PipelinePlan, Step
from compression_runner.pipeline.serving_check import check_serving, require_engine, require_memory
from compressionjob.objectives import Sla
from compressionjob.pod_interface import ENGINES_VARIABLE
from compressionjob.spec import Benchmark, CompressionJobSpec
from tests.support.engines import stand_in_vllm

GIB = vllm.GIB


def spec(**serving: Any) -> CompressionJobSpec:
    benchmark = {"engine": "vllm", "serving": {"concurrency": 2, "outputTokens": 32, **serving}}
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": "s3://models/llama", "task": "text-generation"},
            "data": {"evaluation": {"source": "s3://data/text.parquet"}},
            "benchmark": benchmark,
            "pipeline": [{"prune": {"sparsity": "0.5"}}],
            "output": {"destination": "s3://models/out"},
        }
    )


def step(title: str, gives: Format, method: tuple[str, str] = ("prune", "")) -> Step:
    return Step(title, METHODS[method], None, f"spec.pipeline[0].{title}", title, None, gives)


def source(source_format: Format = "transformers", limit: int | None = None) -> Source:
    own = None if limit is None else LengthLimit(limit, "max_position_embeddings")
    return cast(Source, SimpleNamespace(format=source_format, limit=own, parameters=3 * GIB, weights_bytes=12 * GIB))


def plan(*steps: Step, **more: Any) -> PipelinePlan:
    return PipelinePlan("", steps, None, None, **more)


@pytest.mark.parametrize("gives", ["transformers", "compressed-tensors", "modelopt"])
def test_folders_that_the_engine_loads_are_accepted_packed_or_not(gives: Format) -> None:
    packed = step("pack", gives, ("pack", ""))
    check_serving(spec(), source(), plan(step("prune", gives), packed))


def test_a_source_that_is_packed_alone_is_served_as_it_is() -> None:
    packed = step("pack", "transformers", ("pack", ""))
    check_serving(spec(), source(), plan(packed))
    with pytest.raises(InvalidInput, match="this gives onnx"):
        check_serving(spec(), source("onnx"), plan(step("pack", "onnx", ("pack", ""))))


def test_a_graph_is_refused_as_result_and_as_source() -> None:
    with pytest.raises(BadRecipe, match="vLLM loads Transformers folders, and this gives onnx") as refused:
        check_serving(spec(), source(), plan(step("small", "onnx")))
    assert (refused.value.field, refused.value.value) == ("spec.pipeline[0].small", "small")
    with pytest.raises(InvalidInput, match="this gives onnx") as invalid:
        check_serving(spec(), source("onnx"), plan(step("prune", "onnx")))
    assert invalid.value.field == "spec.model.source"


def test_an_imported_source_is_a_folder() -> None:
    check_serving(spec(), source("gguf"), plan(step("prune", "transformers"), imported=step("import", "transformers")))


def test_results_of_a_fallback_are_served_too() -> None:
    earlier = Candidate("first", 1, (step("first", "onnx"),), None)
    with pytest.raises(BadRecipe, match="onnx"):
        check_serving(spec(), source(), plan(step("prune", "transformers"), fallbacks=(earlier,)))


def test_prompt_and_answer_fit_into_the_context() -> None:
    check_serving(spec(promptTokens=96), source(limit=128), plan(step("prune", "transformers")))
    with pytest.raises(InvalidInput, match=r"prompt and answer have 129 tokens, and the model .* takes 128") as refused:
        check_serving(spec(promptTokens=97), source(limit=128), plan(step("prune", "transformers")))
    assert refused.value.field == "spec.benchmark.serving.promptTokens"


def test_a_missing_engine_names_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    with pytest.raises(InvalidInput, match="the runner's image has no vllm") as missing:
        require_engine(spec())
    assert missing.value.reason == "EngineMissing"
    assert "images/runner-engine.Dockerfile" in missing.value.remedy
    stand_in_vllm(tmp_path)
    require_engine(spec())


def test_a_server_that_cannot_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of 12 GiB in float32 are 6 GiB in the engine; the cache takes an eighth, and the server 2 GiB."""
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    stand_in_vllm(tmp_path)
    with pytest.raises(InvalidInput, match=r"server of vllm for the baseline .* at least 9.* 8.* allowed") as low:
        require_memory(spec(), source(), 8 * GIB)
    assert (low.value.reason, low.value.field) == ("InsufficientMemory", "spec.runtime")
    assert "name a runtime with a larger memory limit" in low.value.remedy
    require_memory(spec(), source(), 10 * GIB)
    measured_elsewhere = spec().model_copy(update={"sla": Sla(runtime="vllm")})
    with pytest.raises(InvalidInput) as elsewhere:
        require_memory(measured_elsewhere, source(), 8 * GIB)
    assert elsewhere.value.field == "spec.sla.runtime"


def test_only_the_host_of_a_cpu_holds_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    require_memory(spec(), source(), 8 * GIB)
    stand_in_vllm(tmp_path)
    unserved = spec().model_copy(update={"benchmark": Benchmark()})
    require_memory(unserved, source(), 8 * GIB)


def quantized(dtype: str) -> CompressionJobSpec:
    """Return a job whose weights are quantized for vLLM."""
    stage = {"quantize": {"method": "weight-only", "backend": "vllm", "dtype": dtype}}
    return CompressionJobSpec.model_validate(spec().to_json() | {"pipeline": [stage]})


@pytest.mark.parametrize(
    ("flags", "kernels", "problem"),
    [
        ("avx2", b"gemm", "int4 weights on CPUs without AVX-512"),
        ("avx2", b"gemm cpu_gemm_wna16", ""),
        ("avx2 avx512f", b"gemm", ""),
    ],
)
def test_four_bits_need_the_kernel_of_the_engine_on_this_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, kernels: bytes, problem: str
) -> None:
    stand_in_vllm(tmp_path)
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    library = tmp_path / "vllm" / "lib" / "python3.11" / "site-packages" / "vllm" / "_C_AVX2.abi3.so"
    library.parent.mkdir()
    library.write_bytes(kernels)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags : {flags}\n")
    computes = partial(vllm.computes_packed_weights, cpuinfo)
    monkeypatch.setattr(vllm, "computes_packed_weights", computes)
    if not problem:
        require_engine(quantized("int4"))
        return
    with pytest.raises(InvalidInput, match=problem) as refused:
        require_engine(quantized("int4"))
    assert (refused.value.reason, refused.value.field) == ("EngineMissing", "spec.pipeline[0].quantize.dtype")


def test_eight_bits_of_weights_alone_need_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_vllm(tmp_path)
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    with pytest.raises(InvalidInput, match="does not compute with int8 weights on CPUs"):
        require_engine(quantized("int8"))
