"""Answers that change, counted by hand."""

import numpy as np

from compression_runner.evaluation.flips import EXAMPLES, flips
from compression_runner.evaluation.statistics.intervals import share

BEFORE = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
AFTER = np.eye(3, dtype=np.float32)[[0, 2, 1, 1, 1]]
LABELS = np.array([0, 1, 1, 2, 1])


def test_flips_are_told_apart_by_what_is_right() -> None:
    found = flips(BEFORE, AFTER, LABELS, 0.95, same=False)
    assert (found.flipped, found.broken, found.mended) == (3, 1, 1)
    assert found.share == share(np.array([0, 1, 1, 1, 0], dtype=bool), 0.95)
    assert [(flip.sample, flip.label, flip.baseline, flip.compressed) for flip in found.examples] == [
        (1, 1, 1, 2),  # broken first
        (2, 1, 2, 1),
        (3, 2, 0, 1),
    ]


def test_what_is_no_number_has_flipped() -> None:
    after = BEFORE.copy()
    after[4] = np.nan
    found = flips(BEFORE, after, None, 0.95, same=False)
    assert found.flipped == 1
    assert found.broken is None
    assert found.examples[0].sample == 4
    assert found.examples[0].compressed is None


def test_the_same_model_flips_nothing_with_certainty() -> None:
    found = flips(BEFORE, BEFORE, LABELS, 0.95, same=True)
    assert found.share.high == 0.0
    assert flips(BEFORE, BEFORE, LABELS, 0.95, same=False).share.high > 0.3


def test_examples_are_few() -> None:
    before = np.tile(np.eye(2, dtype=np.float32)[[0]], (100, 1))
    found = flips(before, before[:, ::-1], None, 0.95, same=False)
    assert found.flipped == 100
    assert len(found.examples) == EXAMPLES
