"""Count answers that differ from the baseline's (prediction flips)."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.evaluation.quality.comparison import Classes, class_answers
from compression_runner.evaluation.quality.multi_label import label_decisions
from compression_runner.evaluation.statistics.intervals import share
from compression_runner.inference.similarity import Floats, finite_rows
from compressionjob.estimate import Estimate
from compressionjob.trust_report import Flip, FlipsReport

EXAMPLES: Final = 20
Answers = NDArray[Any]
"""A class for each sample, shape (samples,), or which labels are set, shape (samples, labels)."""


def flips(
    baseline: Floats,
    compressed: Floats,
    labels: Classes | None,
    confidence: float,
    *,
    same: bool,
    multi_label: MultiLabel | None = None,
) -> FlipsReport:
    """Compare class scores of shape (samples, classes) answer by answer; an answer that is not finite is a flip.

    The answer of a `multi_label` model is the set of its labels: it flips if one label does. The share has Clopper and
    Pearson's exact interval, and none if the models are the `same`. With labels, the report counts broken and fixed
    answers separately (S. Yan et al., Positive-Congruent Training, CVPR 2021).
    """
    before, after = _answers(baseline, compressed, multi_label)
    flipped = _differ(before, after)
    broken = None if labels is None else flipped & ~_differ(before, labels)
    fixed = None if labels is None else flipped & ~_differ(after, labels)
    finite = finite_rows(compressed)
    return FlipsReport(
        share=Estimate.exact(0.0) if same else share(flipped, confidence),
        samples=len(before),
        flipped=int(flipped.sum()),
        broken=None if broken is None else int(broken.sum()),
        mended=None if fixed is None else int(fixed.sum()),
        examples=[
            Flip(
                sample=row,
                label=None if labels is None else _named(labels[row]),
                baseline=_named(before[row]),
                compressed=_named(after[row]) if finite[row] else None,
            )
            for row in _first(flipped, broken)
        ],
    )


def _answers(baseline: Floats, compressed: Floats, multi_label: MultiLabel | None) -> tuple[Answers, Answers]:
    if multi_label is not None:
        return label_decisions(baseline, compressed, multi_label)
    return class_answers(baseline), class_answers(compressed)


def _differ(left: Answers, right: Answers) -> NDArray[np.bool_]:
    return np.asarray((left != right).reshape(len(left), -1).any(axis=1))


def _first(flipped: NDArray[np.bool_], broken: NDArray[np.bool_] | None) -> list[int]:
    rows = np.flatnonzero(flipped)
    if broken is not None:
        rows = rows[np.argsort(~broken[rows], kind="stable")]
    return [int(row) for row in rows[:EXAMPLES]]


def _named(answer: Any) -> int | list[int]:
    """Return a class, or the numbers of the labels that are set."""
    return np.flatnonzero(answer).tolist() if np.ndim(answer) else int(answer)
