"""Choose the comparison of answers by task."""

from collections.abc import Sequence
from dataclasses import replace

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.evaluation.answers.greedy import NOT_FINITE
from compression_runner.evaluation.quality.comparison import (
    Quality,
    Score,
    classification_quality,
    embedding_quality,
)
from compression_runner.evaluation.quality.multi_label import multi_label_quality
from compression_runner.evaluation.quality.perplexity import language_quality
from compression_runner.evaluation.quality.regression import regression_quality
from compression_runner.evaluation.quality.writing import writing_quality
from compression_runner.inference.answer_parts import AnswerPart
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS


def compare(
    spec: CompressionJobSpec,
    old: Floats,
    new: Floats,
    data: SampleSet,
    confidence: float,
    parts: Sequence[AnswerPart] = (),
) -> Quality:
    """Compare the answers of the baseline (`old`) and the compressed model (`new`), shape (samples, values).

    `parts` are the parts of answers with several outputs that are judged separately.
    """
    if TASKS[spec.model.task].running_text:
        return language_quality(old, new, confidence)
    if data.generation is not None:
        texts = [data.generation.texts(side) for side in (old, new)]
        quality = writing_quality(texts[0], texts[1], data.references, spec.model.task, confidence)
        return replace(quality, non_finite_samples=int((new == NOT_FINITE).any(axis=1).sum()))
    if data.multi_label is not None:
        return multi_label_quality(old, new, data.labels, data.multi_label, confidence)
    if TASKS[spec.model.task].classifies:
        return classification_quality(old, new, data.labels, confidence)
    if "correlation" in TASKS[spec.model.task].metrics:
        return regression_quality(old, new, data.labels, confidence, task=spec.model.task)
    return embedding_quality(old, new, confidence, parts=parts)


def require_answers(spec: CompressionJobSpec, quality: Quality, field: str) -> None:
    """Raise BadRecipe for a model without a finite answer, unless a limit on quality fails it; `field` is its stage."""
    if spec.sla.quality is None and quality.non_finite_samples == quality.samples:
        problem = "the compressed model answers every sample with NaN or infinity"
        remedy = "change the parameters of the stage, or remove it"
        raise BadRecipe("NotFinite", field, f"{quality.samples} samples", problem, remedy)


def with_note(quality: Quality, note: str) -> Quality:
    """Add a note to a quality, and to the reasons of its scores."""
    scores = {metric: _with_note(score, note) for metric, score in quality.scores.items()}
    return replace(quality, scores=scores, note=note) if note else quality


def _with_note(score: Score, note: str) -> Score:
    drop = _explained(score.drop, note) if score.drop else None
    return replace(score, compressed=_explained(score.compressed, note), drop=drop)


def _explained(estimate: Estimate, note: str) -> Estimate:
    return estimate.model_copy(update={"reason": "; ".join(text for text in (estimate.reason, note) if text)})
