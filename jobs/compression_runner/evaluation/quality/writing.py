"""Quality of generated text: ROUGE for summaries, word error rate for transcripts, both by torchmetrics.

ROUGE: C.-Y. Lin, ROUGE: a package for automatic evaluation of summaries, 2004; F-measures, mean over samples.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.quality.bounded import bounded_score
from compression_runner.evaluation.quality.comparison import Quality, Score, against_itself
from compression_runner.evaluation.quality.error_scores import error_score
from compression_runner.evaluation.statistics.intervals import share
from compressionjob.objectives import QualityMetric
from compressionjob.tasks import TASKS, Task

Doubles = NDArray[np.float64]
ROUGE: Final[tuple[QualityMetric, ...]] = ("rouge1", "rouge2", "rougeL")


def writing_quality(
    baseline: Sequence[str],
    compressed: Sequence[str],
    references: Sequence[str] | None,
    task: Task,
    confidence: float,
    seed: int = 0,
) -> Quality:
    """Compare texts: the share of equal texts, and with references the metrics of the task."""
    same = np.asarray([before == after for before, after in zip(baseline, compressed, strict=True)])
    scores: dict[QualityMetric, Score] = {"agreement": against_itself("agreement", share(same, confidence))}
    if references is not None and "wer" in TASKS[task].labelled:
        words = np.asarray([len(text.split()) for text in references], dtype=np.float64)
        wrong = [word_errors(side, references) for side in (baseline, compressed)]
        scores["wer"] = error_score("wer", wrong[0], wrong[1], words, confidence, seed)
    elif references is not None:
        sides = [rouge(side, references) for side in (baseline, compressed)]
        for metric in ROUGE:
            scores[metric] = bounded_score(metric, sides[0][metric], sides[1][metric], confidence, seed)
    apart = 0.0 if same.all() else 1.0
    return Quality(scores=scores, samples=len(same), max_abs_difference=apart, non_finite_samples=0)


def word_errors(texts: Sequence[str], references: Sequence[str]) -> Doubles:
    """Return how many words of each text must be changed, added or removed to get its reference."""
    from torchmetrics.functional.text import word_error_rate  # loads torch; only texts need it

    errors = np.empty(len(texts))
    for index, (text, reference) in enumerate(zip(texts, references, strict=True)):
        words = len(reference.split())
        rate = float(word_error_rate([text], [reference])) if words else float(len(text.split()))
        errors[index] = round(rate * max(words, 1))
    return errors


def rouge(texts: Sequence[str], references: Sequence[str]) -> dict[QualityMetric, Doubles]:
    """Return the F-measures of each text, from 0 to 1."""
    from torchmetrics.functional.text import rouge_score  # loads torch; only texts need it

    f_measures: dict[QualityMetric, Doubles] = {metric: np.empty(len(texts)) for metric in ROUGE}
    for index, (text, reference) in enumerate(zip(texts, references, strict=True)):
        scores = rouge_score([text], [reference], rouge_keys=ROUGE)
        for metric in ROUGE:
            f_measures[metric][index] = float(scores[f"{metric}_fmeasure"])
    return f_measures
