"""Derive metrics, looks and trust measurements from the job, and check that the data allows them."""

import json
from collections.abc import Collection
from typing import Final

from compression_runner.dataset import SampleSet
from compression_runner.dataset.texts import Texts
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.statistics.alpha_spending import look_of_data, look_sizes
from compression_runner.evaluation.statistics.power import samples_for_share
from compressionjob.conditions import INVALID_INPUT
from compressionjob.objectives import ERROR_METRICS, MULTI_LABEL_METRICS, QualityLimit, QualityMetric
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, default_metric

FIRST_SAMPLES: Final = 100
"""Fewest samples at the first look at quality."""
QUALITY_LOOKS: Final = 4
BOUNDED: Final[Collection[QualityMetric]] = (
    "accuracy", "agreement", "subsetAccuracy", "subsetAgreement", "rouge1", "rouge2", "rougeL"
)  # fmt: skip
"""Metrics whose interval assumes the worst value for samples that were not drawn."""


def requests_trust(spec: CompressionJobSpec) -> bool:
    """Return whether a job limits fairness, robustness, attributions or flips, or names groups."""
    limits, named = spec.sla, spec.data.evaluation.columns.group
    parts = (named, limits.fairness, limits.robustness, limits.attributions, limits.flips)
    return any(part is not None for part in parts)


def quality_metric(spec: CompressionJobSpec, measured: Collection[QualityMetric], data: SampleSet) -> QualityMetric:
    """Return the metric that the SLA limits. Raises InvalidInput if the data does not allow it."""
    metric = spec.quality_metric or default_metric(spec.model.task, has_labels=data.answered)
    if "matches" in measured and spec.quality_metric is None:
        metric = "matches"
    if metric in measured:
        _require_limits_of_its_kind(spec, metric)
        return metric
    needs = "needs at least 3 samples" if metric == "neighbours" else "needs labels"
    if "matches" in measured:
        needs = "needs outputs of one size, and their number of rows differs between samples or models"
    elif metric == "matches":
        needs = "needs outputs whose number of rows differs between samples, at spec.benchmark.batchSize 1"
    there = ", ".join(measured)
    raise InvalidInput(
        INVALID_INPUT, "spec.sla.quality.metric", metric, f"it {needs}", f"give them, or choose one of {there}"
    )


def _require_limits_of_its_kind(spec: CompressionJobSpec, metric: QualityMetric) -> None:
    """Refuse limits of a score for an error metric, and limits of an error for a score: they would have no effect."""
    limits, is_error = spec.sla.quality, metric in ERROR_METRICS
    if limits and (limits.limits_score if is_error else limits.limits_error):
        problem = f"the data is measured by {metric}, {'an error' if is_error else 'a score'}"
        remedy = "set maxIncrease or max" if is_error else "set maxDrop or min"
        raise InvalidInput(INVALID_INPUT, "spec.sla.quality", json.dumps(limits.to_json()), problem, remedy)


def looks_at_samples(
    spec: CompressionJobSpec, samples: int, *, has_labels: bool, confidence: float, may_vary: bool = False
) -> tuple[int, ...]:
    """Return how many samples are answered at each look at quality; `confidence` is that of all looks together.

    There is one look, at all samples, in three cases: trust is measured on the same answers; the first samples show
    too little of the rest (`_first_samples`); outputs `may_vary` in size, which decides the metric and which the first
    samples may not show.
    """
    if spec.sla.quality is None or requests_trust(spec) or may_vary or samples < 2 * FIRST_SAMPLES:
        return (samples,)
    metric = spec.quality_metric or default_metric(spec.model.task, has_labels=has_labels)
    first = _first_samples(spec, spec.sla.quality, metric, look_of_data(confidence, 0, QUALITY_LOOKS))
    if first is None or first >= samples:
        return (samples,)
    return look_sizes(max(first, samples // 8), samples, QUALITY_LOOKS)


def _first_samples(
    spec: CompressionJobSpec, limits: QualityLimit, metric: QualityMetric, confidence: float
) -> int | None:
    """Return the number of samples at the first look; None if the only look is at all samples.

    The interval of a share of right answers allows for samples that were not drawn, even if few were drawn. Other
    intervals assume that samples that were not drawn are no worse than the worst one drawn. If one sample can lose its
    whole score, the first look needs enough samples to contain a lost one whenever enough are lost to break the limit.
    Errors and correlation have no worst value. Precision, recall, F1 and neighbours depend on the number of samples
    and on their classes.
    """
    running_text = TASKS[spec.model.task].running_text
    if metric in BOUNDED and not running_text:
        return FIRST_SAMPLES
    if metric in ("cosine", "matches") or (metric == "agreement" and running_text):
        losses = [limits.max_drop, None if limits.min is None else 1.0 - limits.min]
        least = min((loss for loss in losses if loss is not None), default=0.0)
        return max(FIRST_SAMPLES, samples_for_share(least, confidence)) if least > 0 else None
    return None


def require_label_kind(spec: CompressionJobSpec, *, several: bool) -> None:
    """Raise InvalidInput for metrics and limits that do not fit samples with `several` labels, or with one class."""
    metric = spec.quality_metric
    if not several and metric in MULTI_LABEL_METRICS:
        problem = "the model gives each sample one class; it is for models of several labels"
        remedy = "use accuracy, f1 or agreement; of several labels config.json has multi_label_classification"
        raise InvalidInput(INVALID_INPUT, "spec.sla.quality.metric", metric, problem, remedy)
    columns, limits = spec.data.evaluation.columns, spec.sla
    requested = {
        "spec.data.evaluation.columns.group": columns.group,
        "spec.sla.fairness": limits.fairness,
        "spec.sla.robustness": limits.robustness,
    }
    for field in (field for field, value in requested.items() if several and value is not None):
        problem = "it is measured by one class for each sample, and the model gives several labels"
        raise InvalidInput(INVALID_INPUT, field, spec.model.task, problem, "remove it; limit sla.quality or sla.flips")


def require_data(spec: CompressionJobSpec, data: SampleSet) -> None:
    """Raise InvalidInput if labels have the wrong kind, or inputs cannot be perturbed or explained as requested."""
    if TASKS[spec.model.task].classifies:
        require_label_kind(spec, several=data.multi_label is not None)
    for name, limit in (("robustness", spec.sla.robustness), ("attributions", spec.sla.attributions)):
        if limit is None:
            continue
        if TASKS[spec.model.task].content == "text":
            texts_of(data, name)
        else:
            only_input(data, name)


def texts_of(data: SampleSet, name: str = "robustness") -> Texts:
    """Return the texts of a sample set; `name` is the limit below spec.sla that needs them."""
    if data.texts is not None:
        return data.texts
    problem = "the words of a text are changed, and the data holds tokens"
    remedy = "give a table with the texts themselves, or remove the limit"
    raise InvalidInput(INVALID_INPUT, f"spec.sla.{name}", ", ".join(data.samples[0]), problem, remedy)


def only_input(data: SampleSet, name: str = "robustness") -> str:
    """Return the name of the only input of a model; it must be numeric."""
    first = data.samples[0]
    if len(first) == 1:
        ((input_name, array),) = first.items()
        if array.dtype.kind in "uif":
            return input_name
    problem = f"the model's inputs are {', '.join(f'{key} ({array.dtype})' for key, array in first.items())}"
    remedy = "it is measured on models with one input of numbers; remove the limit"
    raise InvalidInput(INVALID_INPUT, f"spec.sla.{name}", ", ".join(first), problem, remedy)
