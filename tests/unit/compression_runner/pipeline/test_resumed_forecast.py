"""A pod that goes on from checkpoints knows from them how long the rest will take."""

from pathlib import Path

from compression_runner.artifact import seal
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.execution import Execution
from compression_runner.pipeline.planner import Plan
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress
from tests.support.plans import plan_for
from tests.support.stage_data import FakeStageData


def execution(plan: Plan, model: Path, work: Path) -> tuple[Execution, RunProgress]:
    """What a pod does with a work directory, and what it tells."""
    progress = RunProgress()
    progress.expect([Phase("fetch", "", 5), *(Phase(step.title, step.method.name, 10) for step in plan.every_step),
                     Phase("measure", "", 20)])  # fmt: skip

    source = seal(model, "transformers", "text-embedding")
    return Execution(Checkpoints(work, None), lambda _: source, {"uri": "x"}, progress, FakeStageData), progress


def test_stages_from_checkpoints_are_a_basis(bert: Path, tmp_path: Path) -> None:
    plan = plan_for(bert, "text-embedding", {"prune": {"sparsity": "0.5"}}, {"quantize": {}})
    first, _ = execution(plan, bert, tmp_path)
    made = first.make(plan.steps[-1])
    again, progress = execution(plan, bert, tmp_path)
    assert progress.snapshot().remaining is None
    assert again.make(plan.steps[-1]).stages[-1].reused
    told = progress.snapshot().remaining
    assert told is not None
    assert told.basis == f"{len(made.stages)} of earlier runs"
    assert 0 <= told.seconds <= 3 * sum(stage.seconds for stage in made.stages) + 1
