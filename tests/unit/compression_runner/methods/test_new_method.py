"""A method from outside of the tree: the files of docs/adding-a-method.md, and a line in each of the two registries."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from pydantic import ValidationError

from compression_runner.artifact import seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compression_runner.methods import registry
from compression_runner.pipeline.planner import make_plan
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.crd_schema import structural
from compressionjob.methods import quantize
from compressionjob.methods.family import family
from compressionjob.pipeline import Stage
from compressionjob.spec import parse_job
from tests.support.graphs import graph, random
from tests.support.manifests import job
from tests.support.new_method.parameters import Coarse
from tests.support.new_method.work import METHOD, rounded
from tests.support.stages import answers, sealed_graph, weights_of

WithCoarse = family("Quantize", "With one more method.", (*quantize.METHODS, Coarse))


class WiderStage(Stage):
    """A stage with one more quantizer."""

    quantize: WithCoarse | None = None  # type: ignore[valid-type]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> WiderStage:
    monkeypatch.setitem(registry.METHODS, ("quantize", "coarse"), METHOD)
    return WiderStage.model_validate({"quantize": {"method": "coarse", "steps": 4}})


def run(model: onnx.ModelProto, stage: WiderStage, folder: Path, companion: str = "") -> Outcome:
    source = sealed_graph(model, folder / "source")
    if companion:
        (source.path / companion).write_text("{}")
        source = seal(source.path, "onnx", "onnx")
    (folder / "out").mkdir()
    context = StageContext(folder / "out", "spec.pipeline[0].quantize")
    return registry.METHODS[stage.key].run(source, stage.parameters, context)


def test_a_stage_with_the_method_runs(stage: WiderStage, tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    outcome = run(graph([node], {"x": ["batch", 8]}, ["y"], {"w": weights}), stage, tmp_path)
    assert len(np.unique(weights_of(outcome.artifact)["w"])) == 9
    assert outcome.details == {"steps": 4, "weights": 1}


def test_only_weights_of_layers_change(stage: WiderStage, tmp_path: Path) -> None:
    weights = {
        "table": random(10, 8),
        "zeros": np.zeros((8, 8), np.float32),
        "bias": random(8),
        "shape": np.array([-1, 4, 2], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
        helper.make_node("MatMul", ["rows", "zeros"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Reshape", ["sum", "shape"], ["y"]),
    ]
    model = graph(nodes, {"tokens": ["batch", 5]}, ["y"], weights, {"tokens": onnx.TensorProto.INT64})
    outcome = run(model, stage, tmp_path, "tokenizer.json")
    after = weights_of(outcome.artifact)
    unchanged = [name for name, values in weights.items() if np.array_equal(after[name], values)]
    assert unchanged == ["zeros", "bias", "shape"]
    assert {name: values.dtype for name, values in after.items()} == {n: v.dtype for n, v in weights.items()}
    assert len(np.unique(after["table"])) <= 9
    assert "tokenizer.json" in [file.path for file in outcome.artifact.files]
    tokens = np.array([[1, 2, 3, 4, 5]], np.int64)
    np.testing.assert_allclose(answers(outcome.artifact, {"tokens": tokens})[:, 0, 0], np.full(5, weights["bias"][0]))


def test_a_graph_without_weights_is_refused(stage: WiderStage, tmp_path: Path) -> None:
    node = helper.make_node("Add", ["x", "bias"], ["y"])
    model = graph([node], {"x": ["batch", 8]}, ["y"], {"bias": random(8)})
    with pytest.raises(BadRecipe, match="the graph has no layers with constant weights"):
        run(model, stage, tmp_path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-1.0, 0.4, 0.1, 1.0], [-1.0, 0.5, 0.0, 1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1e-45, 0.0], [1e-45, 0.0]),
        ([], []),
    ],
    ids=["half steps", "zeros", "smallest number", "empty"],
)
def test_values_are_rounded_to_the_grid(values: list[float], expected: list[float]) -> None:
    result = rounded(np.array(values, np.float32), 2)
    assert result.dtype == np.float32
    assert result.tolist() == np.array(expected, np.float32).tolist()


def test_the_planner_accepts_the_method(stage: WiderStage) -> None:
    spec = parse_job(job()).spec.model_copy(update={"pipeline": [stage]})
    source = Source("onnx", "onnx", (), frozenset(), (), "")
    (step,) = make_plan(spec, source).steps
    assert step.method is METHOD
    assert step.settings["steps"] == 4


def test_the_schema_has_its_fields_and_rules() -> None:
    schema = structural(WithCoarse)
    assert "coarse" in schema["properties"]["method"]["enum"]
    assert schema["properties"]["steps"]["maximum"] == 64
    messages = [rule["message"] for rule in schema["x-kubernetes-validations"]]
    assert "steps belongs to method coarse; remove it" in messages


@pytest.mark.parametrize(
    ("parameters", "pattern"),
    [
        ({"method": "dynamic", "steps": 4}, "steps belongs to method coarse"),
        ({"method": "coarse", "dtype": "int4"}, "method coarse takes dtype int8"),
        ({"method": "coarse", "granularity": "tensor"}, "granularity tensor belongs to method dynamic with backend "),
    ],
)
def test_validation_applies_its_rules(parameters: dict[str, Any], pattern: str) -> None:
    with pytest.raises(ValidationError, match=pattern):
        WithCoarse.model_validate(parameters)


def test_the_registries_have_the_same_methods() -> None:
    """The contract and the runner have the same quantizers."""
    ours = {name for group, name in registry.METHODS if group == "quantize"}
    assert {one.variant for one in quantize.METHODS} == ours
