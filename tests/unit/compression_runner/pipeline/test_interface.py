"""Unsuitable interfaces of ONNX graphs are refused by their header, before any download."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from compression_runner.dataset.files import DataFiles
from compression_runner.errors import InvalidInput
from compression_runner.formats.source.inspection import inspect
from compression_runner.pipeline.interface import check_interface
from compression_runner.storage import Entry
from compressionjob.spec import CompressionJobSpec
from tests.support.plans import onnx_spec, open_store

FLOAT, INT, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
NUMBER = helper.make_tensor_type_proto(FLOAT, ["batch", 2])
MAPS = helper.make_sequence_type_proto(helper.make_map_type_proto(INT, helper.make_tensor_type_proto(FLOAT, None)))


def tensor(kind: int, *shape: int | str) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(kind, shape)


def check(
    place: Path,
    inputs: dict[str, onnx.TypeProto],
    outputs: dict[str, onnx.TypeProto],
    data: str = "data.npz",
    **changes: Any,
) -> None:
    """Look at a graph with such inputs and outputs; what it computes does not matter to its header."""
    infos = [[helper.make_value_info(*item) for item in side.items()] for side in (inputs, outputs)]
    nodes = [helper.make_node("Identity", [next(iter(inputs))], [name]) for name in outputs]
    model = helper.make_model(helper.make_graph(nodes, "g", *infos), ir_version=9)
    onnx.save(model, place / "model.onnx")
    spec: CompressionJobSpec = onnx_spec(place, **changes)
    files = DataFiles((Entry(data, 1, "tag"),))
    check_interface(spec, inspect(open_store(place), spec.model), {"evaluation": files})


def task(name: str) -> dict[str, str]:
    return {"source": "file:///model.onnx", "task": name}


MATCHES = {"quality": {"metric": "matches", "maxDrop": "0.1"}}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"outputs": {"y": MAPS}}, "spec.model.source", "output y is a sequence of maps.*'zipmap': False"),
    (
        {"outputs": {"label": tensor(INT, "batch"), "y": MAPS}, "model": task("tabular-classification")},
        "spec.model.source",
        "output y is a sequence of maps.*'zipmap': False",
    ),
    ({"outputs": {"y": helper.make_sequence_type_proto(NUMBER)}}, "spec.model.source", "y is a sequence of tensors"),
    ({"outputs": {"y": tensor(TEXT, "batch")}}, "spec.model.source", r"no output is a tensor of numbers \(y\)"),
    ({"inputs": {"x": helper.make_optional_type_proto(NUMBER)}}, "spec.model.source", "input x is a optional"),
    ({"inputs": {"x": tensor(TEXT, "batch", 1)}, "data": "d.csv"}, "spec.data.evaluation.source", "x takes texts.*str"),
    ({"inputs": {"x": tensor(FLOAT, "batch", "batch")}}, "spec.model.source", "tensor x has 2 dimensions that count"),
    (
        {
            "inputs": {"x": tensor(FLOAT, "text_batch", 2), "z": tensor(FLOAT, "image_batch", 2)},
            "outputs": {"y": tensor(FLOAT, "text_batch", "image_batch")},
            "benchmark": {"batchSize": 2},
        },
        "spec.model.source",
        "tensor y has 2 dimensions that count the batch",
    ),
    ({"inputs": {"x": tensor(FLOAT, 4, 2)}}, "spec.benchmark.batchSize", "batch is fixed at 4; set it to 4"),
    ({"inputs": {"s": tensor(FLOAT, 3, 2, 5), "x": tensor(FLOAT, 2, 2)}}, "spec.benchmark.batchSize", "fixed at 2"),
    (
        {
            "inputs": {"x": tensor(FLOAT, 4, 2)},
            "benchmark": {"batchSize": 4},
            "sla": {"latency": {"max": "1s", "scenario": "MultiStream", "samplesPerQuery": 6}},
        },
        "spec.sla.latency.samplesPerQuery",
        "set it to a multiple of 4",
    ),
    (
        {"outputs": {"y": tensor(INT, "batch")}, "model": task("image-classification")},
        "spec.model.task",
        "the model's outputs do not fit: y int64",
    ),
    ({"sla": MATCHES}, "spec.sla.quality.metric", "no output has a number of rows that can differ.*choose cosine"),
    (
        {"outputs": {"boxes": tensor(FLOAT, "rows", 4)}, "sla": MATCHES, "benchmark": {"batchSize": 2}},
        "spec.sla.quality.metric",
        "several samples at once; set spec.benchmark.batchSize to 1",
    ),
]


@pytest.mark.parametrize(("graph", "field", "message"), REFUSED)
def test_problems_in_the_header_are_refused_at_plan_time(
    graph: dict[str, Any], field: str, message: str, tmp_path: Path
) -> None:
    parts = {"inputs": {"x": NUMBER}, "outputs": {"y": NUMBER}} | graph
    with pytest.raises(InvalidInput, match=message) as error:
        check(tmp_path, **parts)
    assert error.value.field == field


FITTING: list[dict[str, Any]] = [
    {"inputs": {"x": tensor(FLOAT, "batch", 4), "rate": tensor(INT)}},
    {"inputs": {"x": tensor(FLOAT, 1, 3, 16, 16)}, "outputs": {"selected": tensor(INT, "n", 3)}},
    {"inputs": {"x": tensor(TEXT, "batch", 1)}},
    {"outputs": {"label": tensor(INT, "batch"), "logits": NUMBER, "z": MAPS}, "model": task("tabular-classification")},
    {"inputs": {"x": tensor(FLOAT, "batch", 2)}, "outputs": {"y": tensor(FLOAT, "batch", "batch")}},
    {"outputs": {"boxes": tensor(FLOAT, "rows", 4)}, "sla": MATCHES},
    {"outputs": {"boxes": tensor(FLOAT)}, "sla": MATCHES},
]


@pytest.mark.parametrize("graph", FITTING)
def test_measurable_interfaces_are_planned(graph: dict[str, Any], tmp_path: Path) -> None:
    check(tmp_path, **({"inputs": {"x": NUMBER}, "outputs": {"y": NUMBER}} | graph))
