"""A method from outside of the tree: the files of docs/adding-a-method.md, and a line in each of the two registries."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from pydantic import ValidationError

from compression_runner.formats.source.inspection import Source
from compression_runner.methods import registry
from compression_runner.pipeline.planner import make_plan
from compression_runner.stages.method import StageContext
from compressionjob.crd_schema import structural
from compressionjob.methods import quantize
from compressionjob.methods.family import family
from compressionjob.pipeline import Stage
from compressionjob.spec import parse_job
from tests.support.graphs import graph
from tests.support.manifests import job
from tests.support.new_method.parameters import Coarse
from tests.support.new_method.work import METHOD
from tests.support.stages import sealed_graph

WithCoarse = family("Quantize", "With one more method.", (*quantize.METHODS, Coarse))


class WiderStage(Stage):
    """A stage with one more quantizer."""

    quantize: WithCoarse | None = None  # type: ignore[valid-type]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> WiderStage:
    monkeypatch.setitem(registry.METHODS, ("quantize", "coarse"), METHOD)
    return WiderStage.model_validate({"quantize": {"method": "coarse", "steps": 4}})


def test_a_stage_with_the_method_runs(stage: WiderStage, tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    source = sealed_graph(graph([node], {"x": ["batch", 8]}, ["y"], {"w": weights}), tmp_path / "source")
    (tmp_path / "out").mkdir()
    context = StageContext(tmp_path / "out", "spec.pipeline[0].quantize")
    outcome = registry.METHODS[stage.key].run(source, stage.parameters, context)
    (rounded,) = onnx.load(outcome.artifact.model_file).graph.initializer
    assert len(np.unique(numpy_helper.to_array(rounded))) == 9
    assert outcome.details == {"steps": 4}


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
        ({"method": "coarse", "granularity": "tensor"}, "granularity tensor belongs to method dynamic or static"),
    ],
)
def test_validation_applies_its_rules(parameters: dict[str, Any], pattern: str) -> None:
    with pytest.raises(ValidationError, match=pattern):
        WithCoarse.model_validate(parameters)


def test_the_registries_have_the_same_methods() -> None:
    """The contract and the runner have the same quantizers."""
    ours = {name for group, name in registry.METHODS if group == "quantize"}
    assert {one.variant for one in quantize.METHODS} == ours
