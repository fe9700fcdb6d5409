"""Matching of rows whose number differs between samples and models, as detections have."""

import numpy as np
import pytest
from numpy.typing import NDArray

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.varying import VaryingAnswers
from compression_runner.evaluation.quality.rows import rows_quality
from compression_runner.inference.predictor import TensorInfo
from compression_runner.inference.similarity import Floats

BOXES = TensorInfo("boxes", np.dtype(np.float32), (None, 4))
SCORES = TensorInfo("scores", np.dtype(np.float32), (None,))
CLASSES = TensorInfo("classes", np.dtype(np.int64), (None,))
SELECTED = TensorInfo("selected", np.dtype(np.int64), (None, 3))
FEATURES = TensorInfo("features", np.dtype(np.float32), (1, 2))


def floats(*rows: object) -> Floats:
    return np.array(rows, dtype=np.float32)


def matches(
    outputs: tuple[TensorInfo, ...], baseline: list[list[Floats]], compressed: list[list[Floats]]
) -> tuple[float, int]:
    quality = rows_quality(VaryingAnswers(outputs, baseline, compressed), 0.95)
    return quality.scores["matches"].compressed.value, quality.non_finite_samples


def empty(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def test_boxes_do_not_hide_scores_in_an_output_that_does_not_vary() -> None:
    raw = TensorInfo("raw", np.dtype(np.float32), (1, 4))
    before = [[floats([0, 0, 1]), floats([300, 200, 0.9, 0.1])], [empty(0, 3), floats([250, 100, 0.2, 0.8])]]
    after = [[floats([0, 0, 1]), floats([300, 200, 0.0, 0.9])], [empty(0, 3), floats([250, 100, 0.9, 0.0])]]
    assert matches((SELECTED, raw), before, before)[0] == pytest.approx(1.0)
    assert matches((SELECTED, raw), before, after)[0] < 0.5


def test_models_without_detections_are_not_compared() -> None:
    nothing = [[empty(0, 3)], [empty(0, 3)]]
    with pytest.raises(InvalidInput, match=r"2 samples.*no sample has a row in any output \(selected\).*give data"):
        matches((SELECTED,), nothing, nothing)
    assert matches((SELECTED,), nothing, [[floats([0, 0, 1])], [empty(0, 3)]])[0] == 0.5


def test_classes_among_floats_are_matched_exactly() -> None:
    detections = TensorInfo("output", np.dtype(np.float32), (None, 3))  # a place, a class of 80, a score
    before = [[floats([10.2, 0, 0.9], [300.7, 79, 0.3])], [floats([200.1, 40, 0.5])]]
    after = [[floats([10.9, 0, 0.9], [300.1, 74, 0.3])], [floats([200.1, 41, 0.5])]]
    assert matches((detections,), before, before)[0] == 1.0
    assert matches((detections,), before, after)[0] == pytest.approx((0.5 + 0) / 2)


def test_the_same_rows_in_any_order_match() -> None:
    before = [[floats([0, 0, 5], [0, 1, 7])], [floats([0, 0, 1])]]
    after = [[floats([0, 1, 7], [0, 0, 5])], [floats([0, 0, 1])]]
    assert matches((SELECTED,), before, after) == (1.0, 0)


def test_each_lost_or_new_row_lowers_the_score() -> None:
    before = [[floats([0, 0, 5], [0, 1, 7])], [empty(0, 3)], [empty(0, 3)], [floats([0, 0, 1])]]
    after = [[floats([0, 0, 5])], [empty(0, 3)], [floats([0, 0, 2])], [floats([0, 0, 2])]]
    assert matches((SELECTED,), before, after)[0] == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)


def test_a_row_is_matched_only_once() -> None:
    before = [[floats([0, 0, 5])], [floats([0, 0, 1])]]
    after = [[floats([0, 0, 5], [0, 0, 5], [0, 0, 5])], [floats([0, 0, 1])]]
    assert matches((SELECTED,), before, after)[0] == pytest.approx((0.5 + 1) / 2)


@pytest.mark.parametrize(
    ("box", "score", "kind", "fits"),
    [
        ([1, 0, 11, 10], 0.9, 3, True),  # overlaps by 0.82
        ([6, 0, 16, 10], 0.9, 3, False),  # by 0.25
        ([0, 0, 10, 10], 0.87, 3, True),
        ([0, 0, 10, 10], 0.4, 3, False),  # destroyed scores are not hidden by boxes in pixels
        ([0, 0, 10, 10], 0.9, 4, False),  # another class
    ],
)
def test_a_detection_needs_its_box_its_score_and_its_class(
    box: list[float], score: float, kind: int, fits: bool
) -> None:
    other = [floats([50, 50, 90, 90]), floats(0.1), floats(1)]
    before = [[floats([0, 0, 10, 10]), floats(0.9), floats(3)], other]
    after = [[floats(box), floats(score), floats(kind)], [empty(0, 4), empty(0), empty(0)]]
    assert matches((BOXES, SCORES, CLASSES), before, after)[0] == (0.5 if fits else 0.0)


def test_outputs_of_one_size_count_by_their_cosine() -> None:
    rows = [[floats([0, 0, 5])], [empty(0, 3)]]
    before = [[*rows[0], floats([1, 0])], [*rows[1], floats([1, 0])]]
    after = [[*rows[0], floats([0, 1])], [*rows[1], floats([1, 0])]]
    assert matches((SELECTED, FEATURES), before, after)[0] == 0.5


def test_rows_that_are_not_finite_match_nothing() -> None:
    before = [[floats(0.5, 0.7)], [floats(0.2)]]
    assert matches((SCORES,), before, [[floats(0.5, np.nan)], [floats(np.inf)]]) == (0.25, 2)
    with pytest.raises(InvalidInput, match=r"sample 1.*the baseline itself answers with NaN"):
        matches((SCORES,), [[floats(0.5, 0.1)], [floats(np.nan)]], before)


def test_rows_that_vary_in_two_dimensions_are_refused() -> None:
    masks = TensorInfo("masks", np.dtype(np.float32), (None, None))
    with pytest.raises(InvalidInput, match="output masks varies in more than one dimension"):
        matches((masks,), [[empty(1, 2)], [empty(2, 3)]], [[empty(1, 2)], [empty(2, 3)]])
