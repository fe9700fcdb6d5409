"""Graphs with the execution providers of a GPU: options, absent providers, and the files of a profile."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.inference.gpu import GpuPredictor, not_available
from compression_runner.inference.opening import engine_of, open_predictor
from compression_runner.inference.predictor import ModelOrigin
from compression_runner.inference.providers import providers_of
from compressionjob.engines import PROVIDER_ENGINES, ProviderEngine
from tests.support.half_supported import FEED, half_supported
from tests.support.providers import use_provider

COMPRESSED = ModelOrigin("spec.pipeline[0].quantize", compressed=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return half_supported(tmp_path / "model.onnx")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("engine", PROVIDER_ENGINES)
def test_an_absent_provider_never_runs_a_graph_on_the_cpu(engine: ProviderEngine, model: Path, temporary: Path) -> None:
    with pytest.raises(InvalidInput, match=r"onnxruntime has no \w+ExecutionProvider here, and would use the CPU"):
        open_predictor(model, 1, engine)
    with pytest.raises(BadRecipe, match=r"onnxruntime has no \w+ExecutionProvider here, and would use the CPU"):
        open_predictor(model, 1, engine, COMPRESSED)
    assert list(temporary.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_never_runs_a_graph_on_the_cpu(
    model: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(InvalidInput, match=r"CUDAExecutionProvider does not start, and onnxruntime would use the CPU"):
        open_predictor(model, 1, "onnxruntime-cuda")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("engine", "name"),
    [("onnxruntime-cuda", "CUDAExecutionProvider"), ("onnxruntime-tensorrt", "TensorrtExecutionProvider")],
)
def test_an_image_without_a_provider_is_recognized(engine: ProviderEngine, name: str) -> None:
    problem = not_available(engine)
    assert problem.startswith(f"onnxruntime {onnxruntime.__version__} of this image has no {name} (it has ")
    assert "CPUExecutionProvider" in problem


def test_a_provider_that_starts_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    use_provider(monkeypatch, "AzureExecutionProvider")
    assert not_available("onnxruntime-cuda") == ""


def test_the_profile_is_removed_with_or_without_a_placement(
    model: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(monkeypatch, "AzureExecutionProvider")
    with GpuPredictor(model, 1, "onnxruntime-cuda") as predictor:
        assert [folder.name.startswith("placement-") for folder in temporary.iterdir()] == [True]
        predictor.placement(FEED)
        assert list(temporary.iterdir()) == []
        (answer,) = predictor.run(FEED)
        assert answer.shape == (2, 8)
        assert list(temporary.iterdir()) == [], "later runs are not profiled"
    with GpuPredictor(model, 1, "onnxruntime-cuda"):
        pass
    assert list(temporary.iterdir()) == []


def test_engines_on_the_cpu_have_no_placement(model: Path) -> None:
    with open_predictor(model, 1, "onnxruntime") as predictor:
        assert predictor.placement(FEED) is None


def test_the_engine_of_the_job_measures_on_a_gpu_and_the_format_decides_on_the_cpu() -> None:
    assert engine_of(Path("model.onnx"), "onnxruntime-tensorrt") == "onnxruntime-tensorrt"
    assert engine_of(Path("model.xml"), "onnxruntime-cuda") == "onnxruntime-cuda"
    assert [engine_of(Path(name), "vllm") for name in ("model.onnx", "model.xml")] == ["onnxruntime", "openvino"]


def test_cuda_computes_float32_without_tf32(model: Path) -> None:
    (name, options), *others = providers_of("onnxruntime-cuda", model)
    assert (name, options["use_tf32"], options["device_id"]) == ("CUDAExecutionProvider", "0", "0")
    assert others == [("CPUExecutionProvider", {})]


def typed(path: Path, kind: int, operator: str) -> Path:
    """Write a graph of one operator with an input of a type."""
    inputs = ["x"] if operator == "Relu" else ["x", "scale"]
    scale = [onnx.numpy_helper.from_array(np.ones((), np.float32), "scale")] if len(inputs) == 2 else []
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"])],
        "typed",
        [helper.make_tensor_value_info("x", kind, [1])],
        [helper.make_tensor_value_info("y", kind, [1])],
        scale,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "operator", "float16", "integers"),
    [
        (TensorProto.FLOAT, "Relu", "0", "0"),
        (TensorProto.FLOAT16, "Relu", "1", "0"),
        (TensorProto.FLOAT, "QuantizeLinear", "0", "1"),
    ],
)
def test_tensorrt_may_use_the_types_of_the_graph_only(
    kind: int, operator: str, float16: str, integers: str, tmp_path: Path
) -> None:
    providers = dict(providers_of("onnxruntime-tensorrt", typed(tmp_path / "typed.onnx", kind, operator)))
    assert list(providers) == ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    options = providers["TensorrtExecutionProvider"]
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (float16, integers)
