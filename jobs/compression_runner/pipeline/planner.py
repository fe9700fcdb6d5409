"""PipelinePlan the steps of a job from its spec and the format of its source, before any step runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from compression_runner.artifact import PUBLISHABLE, Format
from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compression_runner.methods.registry import METHODS, STEPS
from compression_runner.pipeline import fingerprint
from compression_runner.stages.method import Method
from compressionjob.engines import TORCH_ENGINES
from compressionjob.pipeline import Stage
from compressionjob.sla_objectives import objectives_of
from compressionjob.spec import CompressionJobSpec, OutputFormat

EXPORT: Final = STEPS["export", ""]
PROGRAM: Final = STEPS["export-program", ""]
IMPORT: Final = STEPS["import", ""]
CONVERT: Final = STEPS["convert", ""]
EXPORT_TITLE: Final = "export"
CONVERT_TITLE: Final = "convert"
PROGRAM_TITLE: Final = "export-program"
IMPORT_TITLE: Final = "import"


@dataclass(frozen=True)
class Step:
    """A step of a job. `parent` is the step whose output it takes; None for the source."""

    title: str
    method: Method
    parameters: Any
    field: str
    fingerprint: str
    parent: "Step | None"
    format: Format
    """The format of its output."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The parameters from the manifest."""

    @property
    def trains(self) -> bool:
        """Whether the step trains a model, which takes long enough for intermediate checkpoints."""
        return self.parameters is not None and "training" in self.parameters.needs()


@dataclass(frozen=True)
class Candidate:
    """The result of the pipeline's first `stages` stages, in the format of the whole pipeline's result.

    `measured` is the export that makes it measurable; None if it is measured itself.
    """

    title: str
    """The title of its last stage."""
    stages: int
    steps: tuple[Step, ...]
    measured: Step | None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the result."""
        return self.steps[-1].fingerprint


@dataclass(frozen=True)
class PipelinePlan:
    """The steps of a job.

    `imported` is the import of the source into a format that stages accept; None if it already has one. `baseline` is
    the export of the source that is measured; None if the source itself is. `measured` is the export of the unpacked
    result that is measured; None if the result itself is: a graph, or a folder for an engine of PyTorch. `fallbacks`
    are the results of earlier stages that may be published instead.
    """

    source: str
    steps: tuple[Step, ...]
    baseline: Step | None
    measured: Step | None
    imported: Step | None = None
    fallbacks: tuple[Candidate, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the result."""
        return self.steps[-1].fingerprint

    @property
    def every_step(self) -> tuple[Step, ...]:
        """All distinct steps in order, including those only for the measurement, without spare steps."""
        return _distinct(self.imported, self.baseline, *self.steps, self.measured)

    @property
    def spare_steps(self) -> tuple[Step, ...]:
        """Conversions that run only if the result of an earlier stage is measured."""
        usual = {step.fingerprint for step in self.every_step}
        steps = _distinct(*(step for candidate in self.fallbacks for step in (*candidate.steps, candidate.measured)))
        return tuple(step for step in steps if step.fingerprint not in usual)

    @property
    def results(self) -> frozenset[str]:
        """Fingerprints of all results that this plan may publish."""
        return frozenset({self.fingerprint, *(candidate.fingerprint for candidate in self.fallbacks)})


@dataclass
class _Chain:
    """A sequence of steps, and the format of its output."""

    start: str
    data: Mapping[str, str]
    format: Format
    steps: list[Step] = dataclasses.field(default_factory=list)

    def add(self, title: str, method: Method, where: str, stage: Stage | None = None) -> None:
        """Append a step: a stage of the pipeline, or an inserted one."""
        parameters = stage.parameters if stage else None
        settings = stage.given.to_json() if stage else {}
        parent = self.steps[-1] if self.steps else None
        self.format = method.gives(self.format, parameters)
        before = parent.fingerprint if parent else self.start
        print_ = fingerprint.of_step(before, method, settings, _data_of(parameters, self.data))
        self.steps.append(Step(title, method, parameters, where, print_, parent, self.format, settings))

    def export(self, where: str) -> None:
        """Append an export to ONNX."""
        self.add(EXPORT_TITLE, EXPORT, where)

    def copy(self) -> "_Chain":
        """Return a copy that can be extended independently."""
        return replace(self, steps=list(self.steps))


def make_plan(spec: CompressionJobSpec, source: Source, data: Mapping[str, str] | None = None) -> PipelinePlan:
    """PipelinePlan the steps from the source to the result, with an import if the source needs one, and exports to
    graphs.

    `data` has the identity of the data of each role ("training", "calibration"), which is part of fingerprints. Raises
    BadRecipe if a method does not accept the output of the step before it.
    """
    start = fingerprint.of_source(source.identity)
    chain = _Chain(start, data or {}, source.format)
    imported = _import(chain)
    ends: list[tuple[str, _Chain]] = []
    for index, stage in enumerate(spec.pipeline):
        method, where = METHODS[stage.key], f"spec.pipeline[{index}].{stage.method}"
        if stage.method == "pack":
            _finish(chain, spec.output.format)
        if (
            stage.method == "quantize"
            and spec.output.format in ("onnx", "openvino")
            and "onnx" in method.accepts(stage.parameters)
        ):
            # A later export would convert the quantized weights to float32.
            _export_if_possible(chain, where)
        _make_acceptable(chain, method, stage, where)
        chain.add(stage.title, method, where, stage)
        ends.append((stage.title, chain.copy()))
    if spec.pipeline[-1].method != "pack":
        _finish(chain, spec.output.format)
    # Without limits, no verdict can cause a fallback.
    wanted = spec.sla.on_violation == "Fallback" and objectives_of(spec.sla)
    fallbacks = _fallbacks(spec, chain, ends, source) if wanted else ()
    if spec.benchmark.engine in TORCH_ENGINES:
        fallbacks = tuple(replace(candidate, measured=None) for candidate in fallbacks)
        return PipelinePlan(start, tuple(chain.steps), None, None, imported, fallbacks)
    measured = _measured(chain, source)
    return PipelinePlan(start, tuple(chain.steps), _baseline(chain, source), measured, imported, fallbacks)


def _fallbacks(
    spec: CompressionJobSpec, chain: _Chain, ends: Sequence[tuple[str, _Chain]], source: Source
) -> tuple[Candidate, ...]:
    """Return the results of all stages but the last, in the format of the whole pipeline's result.

    A last stage that packs does not change the model: the unpacked result is larger, and cannot pass if the packed one
    fails.
    """
    formats: Mapping[Format, OutputFormat] = {"onnx": "onnx", "openvino": "openvino"}
    wanted = spec.output.format if spec.output.format != "auto" else formats.get(chain.format, "auto")
    lossy = sum(stage.method != "pack" for stage in spec.pipeline)
    candidates = []
    for count, (title, end) in enumerate(ends[: lossy - 1], start=1):
        _finish(end, wanted)
        candidates.append(Candidate(title, count, tuple(end.steps), _measured(end, source)))
    return tuple(candidates)


def _finish(chain: _Chain, wanted: OutputFormat) -> None:
    """Append the conversion to the published format."""
    where = "spec.output.format"
    if wanted == "torch-export":
        _finish_program(chain, where)
        return
    if chain.format not in PUBLISHABLE or (wanted != "auto" and chain.format in EXPORT.accepts(None)):
        chain.export(chain.steps[-1].field if wanted == "auto" and chain.steps else where)
    if wanted == "openvino" and chain.format in CONVERT.accepts(None):
        chain.add(CONVERT_TITLE, CONVERT, where)


def _finish_program(chain: _Chain, where: str) -> None:
    if chain.format not in PROGRAM.accepts(None):
        problem = f"a program is made of a Transformers model, and the last stage gives {chain.format}"
        raise BadRecipe("FormatMismatch", where, "torch-export", problem, "use onnx or auto, or other stages")
    chain.add(PROGRAM_TITLE, PROGRAM, where)


def _export_if_possible(chain: _Chain, where: str) -> None:
    if chain.format in EXPORT.accepts(None):
        chain.export(where)


def _make_acceptable(chain: _Chain, method: Method, stage: Stage, where: str) -> None:
    accepted = method.accepts(stage.parameters)
    if chain.format in accepted:
        return
    if not (chain.format in EXPORT.accepts(None) and "onnx" in accepted):
        problem = f"it takes {' or '.join(sorted(accepted))} and comes after a model in {chain.format}"
        source = "name a model in such a format, or use another method or backend"
        remedy = "change the order of the stages" if chain.steps else source
        raise BadRecipe("FormatMismatch", where, stage.method, problem, remedy)
    chain.export(where)


def _import(chain: _Chain) -> Step | None:
    """Append an import if stages do not accept the format of the source."""
    if chain.format not in IMPORT.accepts(None):
        return None
    chain.add(IMPORT_TITLE, IMPORT, "spec.model.source")
    return chain.steps[0]


def _baseline(chain: _Chain, source: Source) -> Step | None:
    alone = _Chain(chain.start, chain.data, source.format)
    _import(alone)
    if alone.format not in EXPORT.accepts(None):
        return None
    alone.export("spec.model.source")
    return alone.steps[-1]


def _measured(chain: _Chain, source: Source) -> Step | None:
    """Return the export that is measured, if the result is not a graph; a packed result is measured unpacked.

    A program is measured as the graph of its Transformers model.
    """
    if chain.format not in (*EXPORT.accepts(None), "torch-export"):
        return None
    steps = chain.steps[:-1] if chain.steps[-1].method.name == "pack" else chain.steps
    if steps and steps[-1].method is PROGRAM:
        steps = steps[:-1]
    last = steps[-1].format if steps else source.format
    unpacked = _Chain(chain.start, chain.data, last, list(steps))
    unpacked.export(chain.steps[-1].field)
    return unpacked.steps[-1]


def _distinct(*steps: Step | None) -> tuple[Step, ...]:
    return tuple({step.fingerprint: step for step in steps if step}.values())


def _data_of(parameters: Any, data: Mapping[str, str]) -> dict[str, str] | None:
    if parameters is None:
        return None
    needs = [*sorted(parameters.needs()), *parameters.models().values()]
    return {need: data.get(need, "") for need in needs} or None
