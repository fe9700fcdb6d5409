"""From a spec and the format of its source to concrete steps, before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from compression_runner.artifact import Format
from compression_runner.errors import BadRecipe
from compression_runner.methods.method import Method
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline import fingerprint
from compression_runner.preflight.source import Source
from compressionjob.spec import CompressionJobSpec

EXPORT: Final = METHODS["export"]
EXPORT_TITLE: Final = "export"


@dataclass(frozen=True)
class Step:
    """One thing to do to a model. `parent` is the step whose output it takes, None for the source."""

    title: str
    method: Method
    parameters: Any
    field: str
    fingerprint: str
    parent: "Step | None"

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters as the manifest has them."""
        return _settings(self.parameters)


@dataclass(frozen=True)
class Plan:
    """The steps of a job.

    `baseline` is the export of the source that is measured in its place, None where the source is a graph itself;
    `measured` is what has to be done to the unpacked result before it can be measured, None where it is a graph.
    """

    source: str
    steps: tuple[Step, ...]
    baseline: Step | None
    measured: Step | None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the result."""
        return self.steps[-1].fingerprint

    @property
    def every_step(self) -> tuple[Step, ...]:
        """All steps, each once: those of the pipeline, and those for measuring alone."""
        extra = (step for step in (self.baseline, self.measured) if step)
        return tuple({step.fingerprint: step for step in (*self.steps, *extra)}.values())


def make_plan(spec: CompressionJobSpec, source: Source) -> Plan:
    """The steps from the source to the result, with an export where a method needs a graph.

    Raises BadRecipe where a method cannot take what comes before it.
    """
    start = fingerprint.of_source(source.identity)
    steps: list[Step] = []
    current: Format = source.format
    for index, stage in enumerate(spec.pipeline):
        method, field = METHODS[stage.method], f"spec.pipeline[{index}].{stage.method}"
        if current not in method.accepts:
            if not (current in EXPORT.accepts and "onnx" in method.accepts):
                problem = f"it takes {' or '.join(sorted(method.accepts))} and comes after a model in {current}"
                raise BadRecipe("FormatMismatch", field, stage.method, problem, "change the order of the stages")
            steps.append(_step(EXPORT_TITLE, EXPORT, None, field, start, steps[-1] if steps else None))
            current = "onnx"
        steps.append(_step(stage.title, method, stage.parameters, field, start, steps[-1] if steps else None))
    baseline = measured = None
    if source.format in EXPORT.accepts:
        baseline = _step(EXPORT_TITLE, EXPORT, None, "spec.model.source", start, None)
    if current in EXPORT.accepts:
        last = steps[-1] if steps[-1].method.name != "pack" else steps[-1].parent
        measured = _step(EXPORT_TITLE, EXPORT, None, steps[-1].field, start, last) if last else baseline
    return Plan(start, tuple(steps), baseline, measured)


def _step(title: str, method: Method, parameters: Any, field: str, start: str, parent: Step | None) -> Step:
    before = parent.fingerprint if parent else start
    return Step(title, method, parameters, field, fingerprint.of_step(before, method, _settings(parameters)), parent)


def _settings(parameters: Any) -> dict[str, Any]:
    settings: Mapping[str, Any] = parameters.to_json() if parameters is not None else {}
    return dict(settings)
