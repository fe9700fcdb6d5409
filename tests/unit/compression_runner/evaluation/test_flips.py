"""Answers that change, counted by hand."""

import numpy as np

from compression_runner.evaluation.flips import EXAMPLES, flips
from compression_runner.evaluation.statistics.intervals import share

BEFORE = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
AFTER = np.eye(3, dtype=np.float32)[[0, 2, 1, 1, 1]]
LABELS = np.array([0, 1, 1, 2, 1])


def test_flips_are_divided_into_broken_and_fixed() -> None:
    report = flips(BEFORE, AFTER, LABELS, 0.95, same=False)
    assert (report.flipped, report.broken, report.mended) == (3, 1, 1)
    assert report.share == share(np.array([0, 1, 1, 1, 0], dtype=bool), 0.95)
    assert [(flip.sample, flip.label, flip.baseline, flip.compressed) for flip in report.examples] == [
        (1, 1, 1, 2),  # broken first
        (2, 1, 2, 1),
        (3, 2, 0, 1),
    ]


def test_a_nan_answer_is_a_flip() -> None:
    after = BEFORE.copy()
    after[4] = np.nan
    report = flips(BEFORE, after, None, 0.95, same=False)
    assert report.flipped == 1
    assert report.broken is None
    assert report.examples[0].sample == 4
    assert report.examples[0].compressed is None


def test_an_identical_model_has_exactly_no_flips() -> None:
    report = flips(BEFORE, BEFORE, LABELS, 0.95, same=True)
    assert report.share.high == 0.0
    assert flips(BEFORE, BEFORE, LABELS, 0.95, same=False).share.high > 0.3


def test_the_number_of_examples_is_limited() -> None:
    before = np.tile(np.eye(2, dtype=np.float32)[[0]], (100, 1))
    report = flips(before, before[:, ::-1], None, 0.95, same=False)
    assert report.flipped == 100
    assert len(report.examples) == EXAMPLES
