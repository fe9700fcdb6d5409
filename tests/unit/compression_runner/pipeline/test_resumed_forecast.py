"""A pod that resumes from checkpoints forecasts the remaining time with them."""

from pathlib import Path

from compression_runner.artifact import seal
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.execution import Execution
from compression_runner.pipeline.planner import PipelinePlan
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress
from tests.support.plans import plan_for
from tests.support.stage_data import FakeStageData


def execution(plan: PipelinePlan, model: Path, work: Path) -> tuple[Execution, RunProgress]:
    """Return a pod that resumes with a work directory, and its forecast."""
    progress = RunProgress()
    progress.expect([Phase("fetch", "", 5), *(Phase(step.title, step.method.name, 10) for step in plan.every_step),
                     Phase("measure", "", 20)])  # fmt: skip

    source = seal(model, "transformers", "text-embedding")
    return Execution(Checkpoints(work, None), lambda _: source, {"uri": "x"}, progress, FakeStageData), progress


def test_stages_from_checkpoints_count_in_the_forecast(bert: Path, tmp_path: Path) -> None:
    plan = plan_for(bert, "text-embedding", {"prune": {"sparsity": "0.5"}}, {"quantize": {}})
    first, _ = execution(plan, bert, tmp_path)
    made = first.make(plan.steps[-1])
    again, progress = execution(plan, bert, tmp_path)
    assert progress.snapshot().remaining is None
    assert again.make(plan.steps[-1]).stages[-1].reused
    remaining = progress.snapshot().remaining
    assert remaining is not None
    assert remaining.basis == f"{len(made.stages)} of earlier runs"
    assert 0 <= remaining.seconds <= 3 * sum(stage.seconds for stage in made.stages) + 1
