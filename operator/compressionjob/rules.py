"""CEL rules of the API server across the fields of a job. ``spec`` has the same checks in Python.

A rule may accept a job that Python refuses, but never the other way round; a test compares both. Lists of tasks and
metrics come from their table, so that a new one needs no new rule.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from compressionjob.field_types import cel
from compressionjob.gpu_engines import GPU_RULES
from compressionjob.methods.parameters import NEVER
from compressionjob.methods.predicate import AllOf, AnyOf, IsSet, Predicate, Within
from compressionjob.methods.registry import METHODS
from compressionjob.objectives import ERROR_METRICS
from compressionjob.serving import SERVING_RULES
from compressionjob.task_data import TASK_SPEC_RULES
from compressionjob.tasks import TASKS, Traits
from compressionjob.torch_engines import TORCH_RULES
from compressionjob.trust_fit import is_explained

OWN_DATA: Final = "it needs training or calibration data; name it in {}, separate from the evaluation data"
"""Remedy for a stage without data; {} stands for fields of spec.data."""
PACK_LAST: Final = "nothing can follow pack, which closes the files; make pack the last stage"
ONE_QUANTIZE: Final = "the weights are already quantized by an earlier stage; keep one quantize stage"
NAMES_DIFFER: Final = "stage names must differ; choose another"
NO_FALLBACK: Final = "there is no earlier stage to fall back to; use Fail or Alert, or more stages before the last"
NO_REVIEW: Final = "no review takes place; set spec.review to Always or OnInconclusive, or leave reviewTimeout out"
GROUPS_NEEDED: Final = "sla.fairness needs groups: name the column with the group"


def either(names: Sequence[str]) -> str:
    """Return names as a choice: ``a, b or c``."""
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _tasks(fits: Callable[[Traits], bool]) -> str:
    """Return the tasks whose traits fit, as a CEL list."""
    return _list([task for task, traits in TASKS.items() if fits(traits)])


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(repr(str(name)) for name in names)}]"


def _map(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}"


def _only_errors(traits: Traits) -> bool:
    return all(name in ERROR_METRICS for name in traits.defaults)


def _no_errors(traits: Traits) -> bool:
    return not any(name in ERROR_METRICS for name in traits.defaults)


_LAST: Final = "self[self.size() - 1]"
PIPELINE_RULES: Final[list[JsonValue]] = [
    cel(f"!self.exists(s, has(s.pack)) || (self.filter(s, has(s.pack)).size() == 1 && has({_LAST}.pack))", PACK_LAST),
    cel("self.filter(s, has(s.quantize)).size() <= 1", ONE_QUANTIZE),
    cel(
        f"!self.exists(s, has(s.quantize)) || has({_LAST}.quantize) || "
        f"(self.size() > 1 && has({_LAST}.pack) && has(self[self.size() - 2].quantize))",
        "only pack can follow quantize, since other stages need floating-point weights; move the other stages "
        "before quantize",
    ),
    cel("self.all(s, !has(s.name) || self.filter(t, has(t.name) && t.name == s.name).size() == 1)", NAMES_DIFFER),
]
"""Rules for the order of stages."""


def _some_stage(conditions: Mapping[str, Predicate]) -> str:
    """Return the CEL condition that a stage of one of these methods meets its condition."""
    stages = AnyOf(*(AllOf(IsSet(name), Within(name, condition)) for name, condition in conditions.items()))
    return f"self.pipeline.exists(s, {stages.cel('s')})"


_TRAINS: Final = _some_stage({name: method.trains for name, method in METHODS.items() if method.trains is not NEVER})
_OBSERVES: Final = _some_stage(
    {name: method.observes for name, method in METHODS.items() if method.observes is not NEVER}
)
_QUALITY: Final = "has(self.sla.quality)"
_METRIC: Final = f"{_QUALITY} && has(self.sla.quality.metric)"
_SCORES: Final = "(has(self.sla.quality.maxDrop) || has(self.sla.quality.min))"
_ERRORS: Final = "(has(self.sla.quality.maxIncrease) || has(self.sla.quality.max))"
_METRICS_OF: Final = _map({task: _list(traits.metrics) for task, traits in TASKS.items()})
_USE: Final = _map(
    {task: repr(f"task {task} is not measured by it; use {either(traits.metrics)}") for task, traits in TASKS.items()}
)
_FOLDER: Final = "{} + ({}.endsWith('/') ? '' : '/')"
_SOURCE: Final = _FOLDER.format("self.model.source", "self.model.source")
_DESTINATION: Final = _FOLDER.format("self.output.destination", "self.output.destination")
_CLASSES: Final = _tasks(lambda traits: traits.classifies)


def _of_task(limit: str, tasks: str, remedy: str) -> dict[str, JsonValue]:
    """Return the rule that a limit is for these tasks only."""
    return cel(
        f"!has(self.sla.{limit}) || self.model.task in {tasks}",
        f"the limit does not apply to this task; {remedy}",
        fieldPath=f".sla.{limit}",
    )


SPEC_RULES: Final[list[JsonValue]] = [
    cel(
        f"!({_METRIC}) || self.sla.quality.metric in {_METRICS_OF}[self.model.task]",
        "the task is not measured by this metric; leave the metric out to use the task's default",
        messageExpression=f"{_USE}[self.model.task]",
        fieldPath=".sla.quality.metric",
    ),
    cel(
        f"!({_QUALITY} && !has(self.sla.quality.metric) && {_SCORES} && self.model.task in {_tasks(_only_errors)})",
        "the task is measured by an error: set maxIncrease or max instead",
        fieldPath=".sla.quality",
    ),
    cel(
        f"!({_QUALITY} && !has(self.sla.quality.metric) && {_ERRORS} && self.model.task in {_tasks(_no_errors)})",
        "the task is measured by a score: set maxDrop or min instead",
        fieldPath=".sla.quality",
    ),
    cel(
        f"!{_TRAINS} || has(self.data.training)",
        f"a stage trains (distill, recover or qat): {OWN_DATA.format('spec.data.training')}",
    ),
    cel(
        f"!{_OBSERVES} || has(self.data.calibration) || has(self.data.training)",
        f"a stage observes activations: {OWN_DATA.format('spec.data.calibration or spec.data.training')}",
    ),
    cel(
        "self.sla.onViolation != 'Fallback' || self.pipeline.filter(s, !has(s.pack)).size() > 1",
        NO_FALLBACK,
        fieldPath=".sla.onViolation",
    ),
    cel("!has(self.reviewTimeout) || self.review != 'Never'", NO_REVIEW, fieldPath=".reviewTimeout"),
    cel(
        f"!({_DESTINATION}).startsWith({_SOURCE}) && !({_SOURCE}).startsWith({_DESTINATION})",
        "the result would lie in or over the model's own folder; choose another folder",
        fieldPath=".output.destination",
    ),
    cel(
        "self.output.format != 'torch-export' || !self.pipeline.exists(s, has(s.quantize))",
        "the model after quantize cannot be exported as a program; use onnx or auto",
        fieldPath=".output.format",
    ),
    cel(
        "self.output.format != 'onnx' || !self.pipeline.exists(s, has(s.quantize) && has(s.quantize.backend) && "
        "s.quantize.backend == 'openvino')",
        "quantize with backend openvino gives an OpenVINO model; use openvino or auto, or another backend",
        fieldPath=".output.format",
    ),
    cel(
        f"!(self.model.task in {_tasks(lambda traits: traits.running_text)}) || "
        "!self.pipeline.exists(s, has(s.quantize) && s.quantize.method == 'qat')",
        "language models are quantized by method weight-only; use it, with algorithm gptq for few bits",
        fieldPath=".pipeline",
    ),
    cel(
        "!has(self.sla.fairness) || has(self.data.evaluation.columns.group) "
        f"|| !(self.model.task in {_tasks(lambda traits: traits.classifies or traits.predicts_number)})",
        GROUPS_NEEDED,
        fieldPath=".data.evaluation.columns",
    ),
    _of_task("fairness", _tasks(lambda traits: traits.classifies or traits.predicts_number), "remove it"),
    _of_task("robustness", _CLASSES, "limit sla.quality instead"),
    _of_task("flips", _CLASSES, "limit sla.quality instead"),
    _of_task("attributions", _tasks(is_explained), "remove it"),
    *SERVING_RULES,
    *GPU_RULES,
    *TORCH_RULES,
    *TASK_SPEC_RULES,
]
"""Rules for the spec as a whole."""
