"""Which comparison a task's answers get."""

from collections.abc import Sequence
from dataclasses import replace

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.greedy import NOT_FINITE
from compression_runner.evaluation.quality.comparison import Quality, classification_quality, embedding_quality
from compression_runner.evaluation.quality.multi_label import multi_label_quality
from compression_runner.evaluation.quality.perplexity import language_quality
from compression_runner.evaluation.quality.regression import regression_quality
from compression_runner.evaluation.quality.writing import writing_quality
from compression_runner.inference.parts import AnswerPart
from compression_runner.inference.similarity import Floats
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
    """Compare the answers of the baseline (`old`) and the compressed model, shape (samples, values), by the task.

    `parts` are what is judged apart in answers that have several outputs.
    """
    if TASKS[spec.model.task].running_text:
        return language_quality(old, new, confidence)
    if data.writing is not None:
        texts = [data.writing.texts(side) for side in (old, new)]
        found = writing_quality(texts[0], texts[1], data.references, spec.model.task, confidence)
        return replace(found, non_finite_samples=int((new == NOT_FINITE).any(axis=1).sum()))
    if data.multi_label is not None:
        return multi_label_quality(old, new, data.labels, data.multi_label, confidence)
    if TASKS[spec.model.task].classifies:
        return classification_quality(old, new, data.labels, confidence)
    if "correlation" in TASKS[spec.model.task].metrics:
        return regression_quality(old, new, data.labels, confidence, task=spec.model.task)
    return embedding_quality(old, new, confidence, parts=parts)
