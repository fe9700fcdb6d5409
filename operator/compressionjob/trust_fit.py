"""Checks of the trust limits (fairness, robustness, attributions, flips) against the task."""

from collections.abc import Iterator
from typing import Final

from compressionjob.data import Columns
from compressionjob.errors import FieldProblem
from compressionjob.objectives import Sla
from compressionjob.tasks import TASKS, Task, Traits
from compressionjob.trust_limits import CORRUPTIONS, FAIRNESS_ERRORS, CorruptionLimit, FairnessLimit, RobustnessLimit

GROUP: Final = "spec.data.evaluation.columns.group"
_NUMBERS: Final = frozenset({"image", "audio", "video", "features"})
"""Contents with numeric inputs, to which noise can be added."""
_RANGED: Final = frozenset({"image", "video"})
"""Contents where a change is a share of the value range."""
_EXPLAINED: Final = frozenset({"image", "text", "features"})


def trust_problems(sla: Sla, task: Task, columns: Columns) -> list[FieldProblem]:
    """Return the limits that do not fit the task, each with its remedy."""
    return [
        *_group_problems(sla.fairness, task, columns),
        *_robustness_problems(sla, task),
        *_attribution_problems(sla, task),
        *_flip_problems(sla, task),
    ]


def _group_problems(limit: FairnessLimit | None, task: Task, columns: Columns) -> Iterator[FieldProblem]:
    traits, field = TASKS[task], "spec.sla.fairness"
    if not (traits.classifies or traits.predicts_number):
        remedy = f"the limit does not apply to task {task}; remove it"
        if limit:
            yield FieldProblem(field, task, remedy)
        if columns.group:
            yield FieldProblem(GROUP, columns.group, remedy)
        return
    if limit is None:
        return
    if columns.group is None:
        yield FieldProblem(GROUP, "", "sla.fairness needs groups: name the column with the group")
    yield from _limits_of_another_kind(limit, task, field)
    for name, value in (("maxGap", limit.max_gap), ("maxGapIncrease", limit.max_gap_increase)):
        if value is not None and value > 1 and not traits.predicts_number:
            yield FieldProblem(
                f"{field}.{name}", f"{value:g}", 'the gap between scores must be from 0 to 1, such as "0.05"'
            )


def _limits_of_another_kind(limit: FairnessLimit, task: Task, field: str) -> Iterator[FieldProblem]:
    """Yield limits on a score for a task that is measured by an error, and the other way round."""
    traits = TASKS[task]
    if limit.metric is not None and (limit.metric in FAIRNESS_ERRORS) != traits.predicts_number:
        fitting = "mae or mse" if traits.predicts_number else "accuracy, precision, recall or f1"
        yield FieldProblem(f"{field}.metric", limit.metric, f"task {task} is not measured by it; use {fitting}")
    elif traits.predicts_number and limit.min_worst is not None:
        remedy = f"task {task} is measured by {limit.metric or 'mae'}, an error: set maxWorst instead"
        yield FieldProblem(f"{field}.minWorst", f"{limit.min_worst:g}", remedy)
    elif not traits.predicts_number and limit.max_worst is not None:
        remedy = f"task {task} is measured by {limit.metric or 'accuracy'}, a score: set minWorst instead"
        yield FieldProblem(f"{field}.maxWorst", f"{limit.max_worst:g}", remedy)


def _robustness_problems(sla: Sla, task: Task) -> Iterator[FieldProblem]:
    if sla.robustness is None:
        return
    traits, field = TASKS[task], "spec.sla.robustness"
    if not traits.classifies:
        yield FieldProblem(field, task, f"task {task} does not predict classes; limit sla.quality instead")
        return
    for name in ("noise", "attack"):
        if name in sla.robustness.parts() and traits.content not in _NUMBERS:
            remedy = f"it needs numeric inputs, and task {task} has texts; use corruption: {{kinds: [typos]}}"
            yield FieldProblem(f"{field}.{name}", task, remedy)
    for name, value in _sizes(sla.robustness):
        if value > 1 and traits.content in _RANGED:
            remedy = 'for images and videos it is a share of the range of a channel: 8 of 255 is "0.031"'
            yield FieldProblem(f"{field}.{name}", f"{value:g}", remedy)
    if sla.robustness.corruption:
        yield from _corruption_problems(sla.robustness.corruption, task, f"{field}.corruption")


def _sizes(limit: RobustnessLimit) -> Iterator[tuple[str, float]]:
    if limit.noise:
        yield "noise.level", limit.noise.level
    if limit.attack:
        yield "attack.epsilon", limit.attack.epsilon


def _corruption_problems(limit: CorruptionLimit, task: Task, field: str) -> Iterator[FieldProblem]:
    there = CORRUPTIONS.get(TASKS[task].content, ())
    if not there:
        yield FieldProblem(field, task, f"there are no corruptions for task {task}; use noise or attack")
        return
    for index, kind in enumerate(limit.kinds):
        if kind not in there:
            yield FieldProblem(f"{field}.kinds[{index}]", kind, f"task {task} has the corruptions {', '.join(there)}")


def _attribution_problems(sla: Sla, task: Task) -> Iterator[FieldProblem]:
    if sla.attributions and not is_explained(TASKS[task]):
        remedy = f"task {task} has no attributions; remove it"
        yield FieldProblem("spec.sla.attributions", task, remedy)


def is_explained(traits: Traits) -> bool:
    """Return whether the task supports attributions of predictions to parts of the inputs."""
    return traits.content in _EXPLAINED and (traits.classifies or traits.predicts_number)


def _flip_problems(sla: Sla, task: Task) -> Iterator[FieldProblem]:
    if sla.flips and not TASKS[task].classifies:
        remedy = f"task {task} does not predict classes; limit sla.quality instead"
        if "agreement" in TASKS[task].metrics:
            remedy = f"task {task} does not predict classes; use sla.quality with metric agreement"
        yield FieldProblem("spec.sla.flips", task, remedy)
