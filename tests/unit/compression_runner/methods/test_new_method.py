"""A method from outside of the tree: its parameters and its work, and a line in each of the two registries."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from pydantic import Field, ValidationError

from compression_runner.artifact import Artifact, seal
from compression_runner.formats.source.inspection import Source
from compression_runner.methods import registry
from compression_runner.pipeline.planner import make_plan
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods import quantize
from compressionjob.methods.family import family
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import DTYPE, METHOD, Quantizer
from compressionjob.pipeline import Stage
from compressionjob.spec import parse_job
from compressionjob.structural import structural
from tests.support.graphs import graph
from tests.support.manifests import job
from tests.support.stages import sealed_graph


class Coarse(Quantizer):
    """Weights on a grid of so many steps."""

    variant: ClassVar[str] = "coarse"
    summary: ClassVar[str] = "weights on a coarse grid"

    method: Literal["coarse"] = Field(default="coarse", description=METHOD)
    dtype: Literal["int8"] = Field(default="int8", description=DTYPE)
    steps: Annotated[int, Field(ge=2, le=64)] | None = Field(default=None, description="Steps of the grid.")

    def promise(self) -> Promise:
        """Return nothing that is promised."""
        return Promise()


def run(artifact: Artifact, parameters: Coarse, context: StageContext) -> Outcome:
    """Round each weight to the grid."""
    model = onnx.load(artifact.model_file)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        width = np.abs(values).max() / (parameters.steps or 8)
        tensor.CopyFrom(numpy_helper.from_array((np.round(values / width) * width).astype(values.dtype), tensor.name))
    onnx.save(model, context.output / "model.onnx")
    return Outcome(seal(context.output, "onnx", artifact.task), {"steps": parameters.steps})


COARSE = Method(name="quantize", version=1, accepts=always("onnx"), run=run, libraries=("onnx", "numpy"))
WithCoarse = family("Quantize", "With one more method.", (*quantize.METHODS, Coarse))


class WiderStage(Stage):
    """A stage whose quantizers are one more."""

    quantize: WithCoarse | None = None  # type: ignore[valid-type]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> WiderStage:
    monkeypatch.setitem(registry.METHODS, ("quantize", "coarse"), COARSE)
    return WiderStage.model_validate({"quantize": {"method": "coarse", "steps": 4}})


def test_a_stage_with_it_runs(stage: WiderStage, tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    source = sealed_graph(graph([node], {"x": ["batch", 8]}, ["y"], {"w": weights}), tmp_path / "source")
    (tmp_path / "out").mkdir()
    context = StageContext(tmp_path / "out", "spec.pipeline[0].quantize")
    outcome = registry.METHODS[stage.key].run(source, stage.parameters, context)
    (rounded,) = onnx.load(outcome.artifact.model_file).graph.initializer
    assert len(np.unique(numpy_helper.to_array(rounded))) == 9
    assert outcome.details == {"steps": 4}


def test_the_planner_takes_it(stage: WiderStage) -> None:
    spec = parse_job(job()).spec.model_copy(update={"pipeline": [stage]})
    source = Source("onnx", "onnx", (), frozenset(), (), "")
    (step,) = make_plan(spec, source).steps
    assert step.method is COARSE
    assert step.settings["steps"] == 4


def test_the_api_server_learns_its_fields_and_rules() -> None:
    schema = structural(WithCoarse)
    assert "coarse" in schema["properties"]["method"]["enum"]
    assert schema["properties"]["steps"]["maximum"] == 64
    messages = [rule["message"] for rule in schema["x-kubernetes-validations"]]
    assert "steps belongs to method coarse; remove it" in messages


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"method": "dynamic", "steps": 4}, "steps belongs to method coarse"),
        ({"method": "coarse", "dtype": "int4"}, "method coarse takes dtype int8"),
        ({"method": "coarse", "granularity": "tensor"}, "granularity tensor belongs to method dynamic or static"),
    ],
)
def test_python_says_the_same(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        WithCoarse.model_validate(parameters)


def test_the_registries_have_the_same_methods() -> None:
    """Each quantizer of the contract is one of the runner's, and the other way round."""
    ours = {name for group, name in registry.METHODS if group == "quantize"}
    assert {one.variant for one in quantize.METHODS} == ours
