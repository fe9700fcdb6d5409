"""A stage of any method fails if its graph is invalid."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.execution import Execution
from compression_runner.stages.method import Outcome, StageContext
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress
from tests.support.graphs import linear, random
from tests.support.plans import plan_for
from tests.support.stage_data import FakeStageData


def unsorted(artifact: Artifact, _parameters: Any, context: StageContext) -> Outcome:
    """Append a node that the first one reads, which onnxruntime sorts by itself."""
    model = onnx.load(artifact.model_file)
    model.graph.node.append(helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT))
    model.graph.node[0].input[0] = "half"
    onnx.save(model, context.output / "model.onnx")
    return Outcome(seal(context.output, "onnx", "onnx"))


def test_an_invalid_graph_ends_the_stage(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    linear(tmp_path / "source" / "model.onnx", random(4, 2))
    plan = plan_for(tmp_path / "source", "onnx", {"prune": {"sparsity": "0.5"}})
    step = replace(plan.steps[-1], method=replace(plan.steps[-1].method, run=unsorted))
    progress = RunProgress()
    progress.expect([Phase("fetch", "", 5), Phase(step.title, step.method.name, 10)])
    source = seal(tmp_path / "source", "onnx", "onnx")
    execution = Execution(Checkpoints(tmp_path / "work", None), lambda _: source, {"uri": "x"}, progress, FakeStageData)
    with pytest.raises(BadRecipe, match=r"the result fails onnx\.checker: .*topologically sorted"):
        execution.make(step)
