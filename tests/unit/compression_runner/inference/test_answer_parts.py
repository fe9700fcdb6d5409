"""The separately judged parts of a row of answers, and their cosines."""

import numpy as np
import pytest
from numpy.typing import NDArray

from compression_runner.inference.answer_parts import OutputShape, part_cosines, split_answers, whole
from compression_runner.inference.similarity import Floats, row_cosines

SAMPLES = 20


def _rows(*scales: float, values: int = 8, seed: int = 0) -> Floats:
    """Return answers of shape (samples, channels * values), each channel up to its scale."""
    generator = np.random.default_rng(seed)
    drawn: NDArray[np.float64] = (
        generator.random((SAMPLES, len(scales), values)) * np.asarray(scales)[np.newaxis, :, np.newaxis]
    )
    return drawn.reshape(SAMPLES, -1).astype(np.float32)


def _detector(channels: int, values: int = 8) -> OutputShape:
    return OutputShape("boxes", (channels, values), (True, False))


def _names(rows: Floats, *outputs: OutputShape) -> list[str]:
    return [part.name for part in split_answers(rows, outputs)]


def test_channels_of_different_magnitude_are_separate_parts() -> None:
    rows = _rows(*[640.0] * 4, *[1.0] * 8)
    parts = split_answers(rows, [_detector(12)])
    assert [part.name for part in parts] == ["boxes, channels 0-3 of axis 1", "boxes, channels 4-11 of axis 1"]
    destroyed = rows.copy()
    scores_of_all = destroyed.reshape(SAMPLES, 12, 8)[:, 4:]
    scores_of_all[...] = scores_of_all > 0.9
    assert row_cosines(rows, destroyed).min() > 0.9999, "joined, the boxes hide the scores"
    boxes, scores = part_cosines(rows, destroyed, parts).T
    assert boxes.min() > 0.9999
    assert scores.max() < 0.8


def test_channels_on_the_last_axis_and_alternating_ones_are_parts() -> None:
    last = np.moveaxis(_rows(*[640.0] * 4, *[1.0] * 8).reshape(SAMPLES, 12, 8), 1, 2).reshape(SAMPLES, -1)
    assert _names(last, OutputShape("out", (8, 12), (True, True))) == [
        "out, channels 0-3 of axis 2",
        "out, channels 4-11 of axis 2",
    ]
    pose = _rows(*[640.0] * 4, 0.9, *[500.0, 500.0, 1.0] * 3)
    assert _names(pose, _detector(14)) == [
        "boxes, channels 0-3, 5-6, 8-9, 11-12 of axis 1",
        "boxes, channels 4, 7, 10, 13 of axis 1",
    ]
    flat = _rows(640.0, 640.0, 640.0, 640.0, 1.0, values=1)
    assert _names(flat, OutputShape("face", (5,), (True,))) == ["face, channels 0-3", "face, channels 4"]


def test_boxes_before_hundreds_of_classes_are_a_part() -> None:
    rows = _rows(*[640.0] * 4, *[1.0] * 365, values=2)
    assert _names(rows, _detector(369, 2)) == ["boxes, channels 0-3 of axis 1", "boxes, channels 4-368 of axis 1"]


@pytest.mark.parametrize(
    ("scales", "why"),
    [
        ([1.0] * 384, "an embedding"),
        ([1.0] * 300 + [80.0] + [1.0] * 467, "hidden states with an outlier"),
        ([1.0] * 200 + [1e-4] + [1.0] * 55, "features with a channel that hardly answers"),
        ([0.0] * 100 + [1.0] * 100, "channels that are always zero"),
        (list(np.geomspace(1e-3, 10.0, 64)), "channels whose magnitudes have no gap"),
        ([0.0] * 8, "nothing but zeros"),
    ],
)
def test_ordinary_outputs_stay_whole(scales: list[float], why: str) -> None:
    rows = _rows(*scales)
    parts = split_answers(rows, [_detector(len(scales))])
    assert [part.name for part in parts] == ["boxes"], why
    other = rows + np.random.default_rng(1).normal(scale=0.1, size=rows.shape).astype(np.float32)
    assert np.array_equal(part_cosines(rows, other, parts)[:, 0], row_cosines(rows, other)), "the figure is as ever"


def test_a_free_axis_has_no_channels() -> None:
    tokens = np.moveaxis(_rows(90.0, *[1.0] * 7, values=16).reshape(SAMPLES, 8, 16), 0, 0).reshape(SAMPLES, -1)
    assert _names(tokens, OutputShape("states", (8, 16), (False, True))) == ["states"]


def test_each_output_is_a_part_and_a_zero_output_joins_the_smallest() -> None:
    rows = np.concatenate([_rows(640.0, 640.0), _rows(1.0, 1.0, seed=1), np.zeros((SAMPLES, 3), np.float32)], axis=1)
    outputs = [_detector(2), OutputShape("scores", (2, 8), (True, False)), OutputShape("mask", (3,), (True,))]
    parts = split_answers(rows, outputs)
    assert [part.name for part in parts] == ["boxes", "scores"]
    faint = rows.copy()
    faint[:, -3:] = 1e-6
    assert part_cosines(rows, faint, parts).min() > 0.9999, "noise where the baseline has zeros is no loss"
    with pytest.raises(ValueError, match="no row of 35 values"):
        split_answers(rows, outputs[:2])


def test_an_output_without_values_is_left_out() -> None:
    nothing = OutputShape("boxes", (0, 4), (False, True))
    assert _names(_rows(1.0), OutputShape("all", (8,), (True,)), nothing) == ["all"]
    assert split_answers(np.zeros((5, 0), np.float32), [nothing]) == ()


def test_a_row_without_direction_is_compared_by_length() -> None:
    rows = np.concatenate([_rows(640.0, 640.0), _rows(1.0, 1.0, seed=1)], axis=1)
    rows[0, 16:] = 0.0
    parts = split_answers(rows, [_detector(2), OutputShape("scores", (2, 8), (True, False))])
    noisy, wrong = rows.copy(), rows.copy()
    noisy[0, 16:], wrong[0, 16:] = 1e-4, 1.0
    assert part_cosines(rows, noisy, parts)[0, 1] > 0.9999
    assert part_cosines(rows, wrong, parts)[0, 1] < 0.9


def test_a_single_number_is_compared_by_size() -> None:
    rows = np.random.default_rng(0).normal(size=(SAMPLES, 1)).astype(np.float32)
    parts = whole(rows)
    assert part_cosines(rows, rows, parts).min() == pytest.approx(1.0)
    assert row_cosines(np.abs(rows), np.abs(rows) * 9).min() == pytest.approx(1.0), "the sign alone says nothing"
    assert part_cosines(rows, rows * 9, parts).mean() < 0.9


def test_a_part_that_is_not_finite_is_lost() -> None:
    rows = _rows(*[640.0] * 4, *[1.0] * 8)
    broken = rows.copy()
    broken[3, 40] = np.nan
    cosines = part_cosines(rows, broken, split_answers(rows, [_detector(12)]))
    assert cosines[3].min() == 0.0
    assert cosines[4].min() > 0.9999
