"""Measure fairness, flips, robustness and attributions: the report's part, and estimates for the verdict.

Fairlearn and captum take seconds to import, so each part is imported only if a job requests it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.model import Both
from compression_runner.evaluation.flips import flips
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT
from compressionjob.estimate import Estimate
from compressionjob.sla_objectives import ATTRIBUTIONS, FLIPS, GAP, GAP_INCREASE, ROBUSTNESS, WORST_GROUP
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS
from compressionjob.trust_report import AttributionsReport, FlipsReport, GroupsReport, RobustnessReport, TrustReport

ROBUSTNESS_SHARE: Final = 0.7
"""Rough share of the time of all trust measurements, if attributions are measured too."""


@dataclass(frozen=True)
class Trust:
    """The trust part of the report, and the estimates that the trust objectives are judged by."""

    report: TrustReport | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


def measure_trust(
    spec: CompressionJobSpec,
    models: Both,
    data: SampleSet,
    answers: tuple[Floats, Floats],
    confidence: float,
    *,
    same: bool,
    advance: Callable[[float], None],
) -> Trust:
    """Measure what the job requests; `answers` are both models' answers to all data, shape (samples, values).

    `same` means that both models are identical: the loss is exactly 0. Raises InvalidInput for groups in data without
    labels.
    """
    estimates: dict[str, Estimate] = {}
    groups = _groups(spec, data, answers, confidence, same=same) if data.groups is not None else None
    if groups:
        estimates |= {
            WORST_GROUP: groups.compressed_worst,
            GAP: groups.compressed_gap,
            GAP_INCREASE: groups.gap_increase,
        }
    changed = _flips(spec, data, answers, confidence, same=same)
    if changed:
        estimates[FLIPS] = changed.share
    first = ROBUSTNESS_SHARE if spec.sla.robustness else 0.0
    end = first if spec.sla.attributions else 1.0
    disturbed, more = _robustness(spec, models, data, answers, confidence, lambda part: advance(part * end), same=same)
    estimates |= more
    explained = _attributions(
        spec, models, data, answers[0], confidence, lambda part: advance(first + part * (1 - first)), same=same
    )
    if explained:
        estimates[ATTRIBUTIONS] = explained.agreement
    return Trust(TrustReport(groups=groups, robustness=disturbed, attributions=explained, flips=changed), estimates)


def _groups(
    spec: CompressionJobSpec, data: SampleSet, answers: tuple[Floats, Floats], confidence: float, *, same: bool
) -> GroupsReport | None:
    from compression_runner.evaluation.fairness.groups import groups_of_classes, groups_of_numbers

    limit, column = spec.sla.fairness, spec.data.evaluation.columns.group
    if column is None or data.groups is None:
        return None
    if data.labels is None:
        problem, remedy = "groups are compared by right answers, and the data has none", "give labels or targets"
        raise InvalidInput(INVALID_INPUT, "spec.data.evaluation.columns.group", column, problem, remedy)
    metric = limit.metric if limit else None
    if TASKS[spec.model.task].classifies:
        return groups_of_classes(
            *answers, data.labels, data.groups, column, metric or "accuracy", confidence, same=same
        )
    return groups_of_numbers(*answers, data.labels, data.groups, column, metric or "mae", confidence, same=same)


def _flips(
    spec: CompressionJobSpec, data: SampleSet, answers: tuple[Floats, Floats], confidence: float, *, same: bool
) -> FlipsReport | None:
    return flips(*answers, data.labels, confidence, same=same, multi_label=data.multi_label) if spec.sla.flips else None


def _robustness(
    spec: CompressionJobSpec,
    models: Both,
    data: SampleSet,
    answers: tuple[Floats, Floats],
    confidence: float,
    advance: Callable[[float], None],
    *,
    same: bool,
) -> tuple[RobustnessReport | None, dict[str, Estimate]]:
    if spec.sla.robustness is None:
        return None, {}
    from compression_runner.evaluation.robustness.disturbances import robustness

    report, estimates = robustness(spec.sla.robustness, models, data, answers, confidence, same=same, advance=advance)
    return report, {f"{ROBUSTNESS}.{name}": estimate for name, estimate in estimates.items()}


def _attributions(
    spec: CompressionJobSpec,
    models: Both,
    data: SampleSet,
    baseline: Floats,
    confidence: float,
    advance: Callable[[float], None],
    *,
    same: bool,
) -> AttributionsReport | None:
    if spec.sla.attributions is None:
        return None
    from compression_runner.evaluation.attributions.attributions import attributions

    return attributions(spec.sla.attributions, models, data, baseline, confidence, same=same, advance=advance)
