"""The device of a measurement: models that run elsewhere are refused, and the report describes the device."""

from pathlib import Path

import pytest

from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.evaluation.machine.execution import Execution, execution_in
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.placement import Placement, read_placement
from compression_runner.inference.predictor import Feed, ModelOrigin
from compressionjob.report import Environment, PlacementReport
from tests.support.half_supported import FEED, half_supported
from tests.support.providers import use_provider

CUDA = "CUDAExecutionProvider"
WHOLE = Placement({CUDA: 12, "CPUExecutionProvider": 3}, {"Concat": 2, "Shape": 1}, {})
HALF = Path(__file__).parents[2] / "inference" / "data" / "openvino-half.json"
LAST_STAGE = ModelOrigin("spec.pipeline[1].quantize", compressed=True)


class Placed(OnnxPredictor):
    """A predictor with a known placement."""

    def __init__(self, model: Path, placement: Placement) -> None:
        super().__init__(model, 1)
        self._placement = placement

    def placement(self, feed: Feed) -> Placement:
        return self._placement


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return half_supported(tmp_path / "model.onnx")


def check(execution: Execution, model: Path, before: Placement, after: Placement) -> None:
    with Placed(model, before) as baseline, Placed(model, after) as compressed:
        execution.require_on_device((baseline, compressed), (FEED, FEED), LAST_STAGE)


def test_a_baseline_that_runs_in_part_on_the_cpu_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_provider(monkeypatch, "OpenVINOExecutionProvider")
    with pytest.raises(InvalidInput, match=r"2 of 3 nodes ran on the CPU.*MatMul \(1\), Normalizer \(1\)") as refused:
        check(Execution("onnxruntime-cuda"), model, read_placement(HALF), WHOLE)
    assert (refused.value.reason, refused.value.field) == ("PartialPlacement", "spec.benchmark.engine")
    assert "the baseline model on a GPU" in refused.value.problem


def test_a_compressed_model_that_runs_in_part_on_the_cpu_is_the_fault_of_its_stages(model: Path) -> None:
    half = Placement({CUDA: 8, "CPUExecutionProvider": 4}, {}, {"DynamicQuantizeLinear": 4})
    with pytest.raises(BadRecipe, match=r"4 of 12 nodes ran on the CPU.*DynamicQuantizeLinear \(4\)") as refused:
        check(Execution("onnxruntime-cuda"), model, WHOLE, half)
    assert (refused.value.reason, refused.value.field) == ("PartialPlacement", "spec.pipeline[1].quantize")


def test_the_report_describes_the_gpu_and_counts_nodes(model: Path) -> None:
    execution = Execution("onnxruntime-cuda")
    check(execution, model, WHOLE, Placement({CUDA: 9}, {}, {}))
    described = execution.described_in(Environment(measured_in="onnxruntime-cuda 1.31.1"))
    assert described.measured_in == "onnxruntime-cuda 1.31.1 (CUDAExecutionProvider)"
    assert (described.device, described.driver) == ("GPU", "")
    assert described.precision == "the types of the graph, float32 without TF32"
    assert described.placement == [
        PlacementReport(
            model="baseline",
            nodes={CUDA: 12, "CPUExecutionProvider": 3},
            shapes_on_cpu={"Concat": 2, "Shape": 1},
        ),
        PlacementReport(model="compressed", nodes={CUDA: 9}),
    ]
    assert described.to_json()["placement"][0]["shapesOnCPU"] == {"Concat": 2, "Shape": 1}


def test_engines_on_the_cpu_have_no_placement(model: Path) -> None:
    with execution_in("onnxruntime") as execution, OnnxPredictor(model, 1) as predictor:
        execution.require_on_device((predictor, predictor), (FEED, FEED), LAST_STAGE)
        described = execution.described_in(Environment(measured_in="onnxruntime 1.32.0"))
    assert (described.device, described.precision) == ("CPU", "the types of the graph")
    assert described.placement == []


class Typed(OnnxPredictor):
    """A predictor with weights of a type."""

    def __init__(self, model: Path, precision: str) -> None:
        super().__init__(model, 1)
        self.precision = precision


@pytest.mark.parametrize(
    ("compressed", "precision"),
    [
        ("float32", "the types of the weights: float32"),
        ("bfloat16", "the types of the weights: float32 (baseline) and bfloat16 (compressed)"),
    ],
)
def test_the_report_names_the_types_in_which_pytorch_computes(model: Path, compressed: str, precision: str) -> None:
    with (
        execution_in("torch-compile") as execution,
        Typed(model, "float32") as before,
        Typed(model, compressed) as after,
    ):
        execution.require_on_device((before, after), (FEED, FEED), LAST_STAGE)
        described = execution.described_in(Environment(measured_in="torch-compile 2.14.1"))
    assert (described.device, described.precision, described.placement) == ("CPU", precision, [])
    on_gpu = Execution("torch-cuda")
    with Typed(model, "float32") as before, Typed(model, compressed) as after:
        on_gpu.require_on_device((before, after), (FEED, FEED), LAST_STAGE)
    described = on_gpu.described_in(Environment(measured_in="torch-cuda 2.14.1"))
    assert (described.device, described.driver) == ("GPU", "")
    assert described.precision == f"{precision}; convolutions of float32 may use TF32, as by PyTorch's default"
