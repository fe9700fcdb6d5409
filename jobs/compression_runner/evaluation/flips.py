"""Answers that are other than the baseline's."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.quality.comparison import Classes, class_answers
from compression_runner.evaluation.statistics.intervals import share
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.trust_report import Flip, FlipsReport

EXAMPLES: Final = 20


def flips(
    baseline: Floats, compressed: Floats, labels: Classes | None, confidence: float, *, same: bool
) -> FlipsReport:
    """Compare class scores of shape (samples, classes) answer by answer; one that is not finite has flipped.

    The share has Clopper and Pearson's exact interval, and none where the models are the `same`. With labels, answers
    that broke are told apart from those that were mended (S. Yan et al., Positive-Congruent Training, CVPR 2021).
    """
    before, after = class_answers(baseline), class_answers(compressed)
    flipped = before != after
    broken = None if labels is None else flipped & (before == labels)
    mended = None if labels is None else flipped & (after == labels)
    return FlipsReport(
        share=Estimate.exact(0.0) if same else share(flipped, confidence),
        samples=len(before),
        flipped=int(flipped.sum()),
        broken=None if broken is None else int(broken.sum()),
        mended=None if mended is None else int(mended.sum()),
        examples=[_flip(int(row), before, after, labels, baseline.shape[1]) for row in _first(flipped, broken)],
    )


def _first(flipped: NDArray[np.bool_], broken: NDArray[np.bool_] | None) -> list[int]:
    rows = np.flatnonzero(flipped)
    if broken is not None:
        rows = rows[np.argsort(~broken[rows], kind="stable")]
    return [int(row) for row in rows[:EXAMPLES]]


def _flip(row: int, before: Classes, after: Classes, labels: Classes | None, classes: int) -> Flip:
    answer = int(after[row])
    return Flip(
        sample=row,
        label=None if labels is None else int(labels[row]),
        baseline=int(before[row]),
        compressed=answer if answer < classes else None,
    )
