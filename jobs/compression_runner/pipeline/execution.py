"""Compute the output of a step, or take it from its checkpoint; fetch and run only what is needed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.errors import WORK_REMEDY, room_on
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.planner import Step
from compression_runner.stages.method import StageContext, StageData
from compression_runner.telemetry.progress import RunProgress
from compressionjob.report import StageReport

SOURCE: Final = "fetch"


@dataclass(frozen=True)
class StepOutput:
    """An artifact with the reports of the steps that created it, in order."""

    artifact: Artifact
    stages: tuple[StageReport, ...]
    source: Mapping[str, Any]
    """The origin of the model, with its digest."""


class Execution:
    """Runs the steps of a job. `fetch` fetches the source; it is called only if no checkpoint replaces it."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        fetch: Callable[[Callable[[float, str], None]], Artifact],
        origin: Mapping[str, Any],
        progress: RunProgress,
        stage_data: Callable[[], StageData],
    ) -> None:
        self._checkpoints = checkpoints
        self._fetch = fetch
        self._origin = origin
        self._progress = progress
        self._stage_data = stage_data
        self._made: dict[str, StepOutput] = {}
        self._source: StepOutput | None = None

    def make(self, step: Step) -> StepOutput:
        """Return the output of a step.

        Raises BadRecipe if the method cannot process the model, and DiskFull if there is no space for the output.
        """
        made = self._made.get(step.fingerprint) or self._resumed(step)
        if made is None:
            before = self.make(step.parent) if step.parent else self.source()
            made = self._run(step, before)
        self._made[step.fingerprint] = made
        return made

    def source(self) -> StepOutput:
        """Return the source model, fetched at the first call."""
        if self._source is None:
            with self._progress.phase(SOURCE) as advance:
                fetched = self._fetch(advance)
            origin = {**self._origin, "digest": fetched.digest, "sizeBytes": fetched.size_bytes}
            self._source = StepOutput(fetched, (), origin)
        return self._source

    def _resumed(self, step: Step) -> StepOutput | None:
        if not self._checkpoints.has(step.fingerprint):
            return None
        with self._progress.phase(step.title, step.method.name) as advance:
            advance(0.0, "from checkpoint")
            kept = self._checkpoints.get(step.fingerprint)
        if kept is None:
            return None
        provenance = kept.provenance
        stages = [StageReport.model_validate(stage) for stage in provenance["stages"]]
        self._progress.recall({(stage.name, stage.method): stage.seconds for stage in stages})
        reused = tuple(stage.model_copy(update={"reused": True}) for stage in stages)
        # The title comes from the manifest, which may have a new name for the same step.
        last = reused[-1].model_copy(update={"name": step.title})
        return StepOutput(kept, (*reused[:-1], last), provenance["source"])

    def _run(self, step: Step, before: StepOutput) -> StepOutput:
        with self._progress.phase(step.title, step.method.name) as advance:
            start = time.monotonic()
            output = self._checkpoints.begin(step.fingerprint)
            context = StageContext(output, step.field, lambda part: advance(part * 0.9, ""), self._stage_data())
            if step.trains:
                keep, kept = self._checkpoints.keeping(step.fingerprint)
                context = replace(context, checkpoint_dir=keep, checkpoint_saved=kept)
            with room_on(output, "workdir", WORK_REMEDY):
                outcome = step.method.run(before.artifact, step.parameters, context)
                _require_valid(before.artifact, outcome.artifact, step.field)
            seconds = round(time.monotonic() - start, 3)
            stages = (*before.stages, _report(step, outcome.artifact, seconds, outcome.details))
            provenance = {
                "fingerprint": step.fingerprint,
                "source": dict(before.source),
                "stages": [stage.model_dump(mode="json", by_alias=True) for stage in stages],
            }
            sealed = outcome.artifact.with_provenance(provenance)
            advance(0.9, "keeping the checkpoint")
            committed = self._checkpoints.commit(step.fingerprint, sealed)
            if step.trains:
                self._checkpoints.forget(step.fingerprint)
            return StepOutput(committed, stages, before.source)


def _require_valid(before: Artifact, artifact: Artifact, field: str) -> None:
    """Raise BadRecipe for an invalid graph of any method, and for weights that are not finite."""
    from compression_runner.formats.finite_weights import require_finite_result

    require_finite_result(before, artifact, field)
    if artifact.format == "onnx" and artifact.packing is None:
        from compression_runner.formats.normalization import require_valid

        require_valid(artifact.model_file, field)


def _report(step: Step, artifact: Artifact, seconds: float, details: Mapping[str, Any]) -> StageReport:
    return StageReport(
        name=step.title,
        method=step.method.name,
        parameters=dict(step.settings),
        fingerprint=step.fingerprint,
        size_bytes=artifact.size_bytes,
        seconds=seconds,
        reused=False,
        details=dict(details),
    )
