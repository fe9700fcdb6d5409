"""Which nodes ran on a GPU's provider, which compute shapes on the CPU on purpose, and which make a run not count."""

from pathlib import Path
from typing import Any

import pytest

from compression_runner.inference.gpu import GpuPredictor
from compression_runner.inference.placement import Placement, computes_shapes, listed, read_placement
from tests.support.half_supported import FEED, half_supported
from tests.support.providers import use_provider

RECORDED = Path(__file__).parent / "data" / "openvino-half.json"
"""The profile of half_supported() in onnxruntime-openvino 1.24.1; `make test-providers` runs the provider itself."""
OPENVINO = "OpenVINOExecutionProvider"


def test_a_provider_that_takes_half_of_the_operators_does_not_count() -> None:
    placement = read_placement(RECORDED)
    assert placement == Placement({"CPUExecutionProvider": 2, OPENVINO: 1}, {}, {"MatMul": 1, "Normalizer": 1})
    assert placement.problem(OPENVINO) == (
        "2 of 3 nodes ran on the CPU and not in OpenVINOExecutionProvider: MatMul (1), Normalizer (1)"
    )


def test_nodes_that_compute_shapes_are_separated_in_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_provider(monkeypatch, "AzureExecutionProvider")  # it is in this wheel, and takes none of these operators
    with GpuPredictor(half_supported(tmp_path / "model.onnx"), 1, "onnxruntime-cuda") as predictor:
        placement = predictor.placement(FEED)
    assert placement.nodes == {"CPUExecutionProvider": 6}
    assert placement.shapes == {"Shape": 1, "Sub": 1}
    assert placement.computed == {"MatMul": 2, "Normalizer": 1, "Reshape": 1}


def test_a_provider_without_any_node_does_not_count() -> None:
    only_cuda = Placement({"CUDAExecutionProvider": 7}, {}, {})
    assert only_cuda.problem("CUDAExecutionProvider") == ""
    assert only_cuda.problem("TensorrtExecutionProvider") == "TensorrtExecutionProvider ran no node of the graph"


def node(operator: str, read: list[dict[str, list[int]]], written: list[dict[str, list[int]]]) -> dict[str, Any]:
    return {"op_name": operator, "input_type_shape": read, "output_type_shape": written}


@pytest.mark.parametrize(
    ("one", "shapes"),
    [
        (node("Shape", [{"float": [8, 512, 768]}], [{"int64": [3]}]), True),
        (node("Concat", [{"int64": [1]}, {"int64": [2]}], [{"int64": [3]}]), True),
        (node("Equal", [{"int64": [4]}, {"int64": [4]}], [{"bool": [4]}]), True),
        (node("Gather", [{"int64": [3]}, {"int64": []}], [{"int64": []}]), True),
        (node("ArgMax", [{"float": [1, 10]}], [{"int64": [1]}]), False),
        (node("Cast", [{"int64": [1]}], [{"float": [1]}]), False),
        (node("MatMulInteger", [{"uint8": [1, 8]}, {"int8": [8, 4]}], [{"int32": [1, 4]}]), False),
        (node("Where", [{"bool": [1, 128]}, {"int64": [1, 128]}], [{"int64": [1, 128]}]), False),
        (node("SequenceEmpty", [], []), False),
    ],
)
def test_shapes_are_small_tensors_of_integers(one: dict[str, Any], shapes: bool) -> None:
    assert computes_shapes(one) == shapes


def test_the_most_frequent_operators_are_named_first() -> None:
    assert listed({"b": 1, "a": 1, "c": 9}) == "c (9), a (1), b (1)"
    assert listed({"b": 1, "a": 1, "c": 9}, most=1) == "c (9) and 2 more"
