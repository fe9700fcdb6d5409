"""Quality of models whose number of output rows differs between samples, such as object detectors.

The rows of both models are matched. A sample's score is the F1 of the matched rows: 1 if both models return the same
rows in any order, and 1 if both return none.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.varying import Tables, VaryingAnswers, varying_axis
from compression_runner.evaluation.quality.comparison import Quality, against_itself
from compression_runner.evaluation.statistics.intervals import mean
from compression_runner.inference.answer_parts import OutputShape, part_cosines, split_answers
from compression_runner.inference.predictor import TensorInfo
from compressionjob.conditions import INVALID_INPUT

OVERLAP: Final = 0.5
"""Least intersection over union of two boxes that match: PASCAL VOC's and COCO's AP50."""
TOLERANCE: Final = 0.1
"""Largest difference of a value between matching rows, as a share of its range over the baseline's rows."""
Rows = NDArray[np.float64]


def rows_quality(answers: VaryingAnswers, confidence: float, seed: int = 0) -> Quality:
    """Compare outputs that vary in their number of rows by matching, and other outputs by cosine.

    A sample counts with the lowest of its scores. Raises InvalidInput if an output varies in more than one dimension,
    if no sample has a row in either model, or if the baseline's answers are not finite.
    """
    _require_rows(answers)
    _require_finite(answers)
    axes = [_varying_axis(answers, place) for place in range(len(answers.outputs))]
    scores = [_alike(answers, [place for place, axis in enumerate(axes) if axis is None])]
    scores += [
        _matched(answers, [(place, axis) for place, axis in enumerate(axes) if axis is not None and place in group])
        for group in _groups(answers, axes)
    ]
    worst = np.min(np.stack(scores), axis=0)
    broken = [sample for sample in answers.compressed if not all(np.isfinite(value).all() for value in sample)]
    return Quality(
        scores={"matches": against_itself("matches", mean(worst, confidence, seed))},
        samples=len(worst),
        max_abs_difference=float(_largest_difference(answers)),
        non_finite_samples=len(broken),
    )


def matched_share(old: Rows, new: Rows, fits: NDArray[np.bool_]) -> float:
    """Return the F1 of rows that can be matched one to one; `fits` says which pairs may, shape (rows, rows)."""
    if not len(old) and not len(new):
        return 1.0
    if not len(old) or not len(new):
        return 0.0
    pairs = maximum_bipartite_matching(csr_array(fits), perm_type="column")
    return float(2 * np.count_nonzero(pairs >= 0) / (len(old) + len(new)))


def _varying_axis(answers: VaryingAnswers, place: int) -> int | None:
    """Return the dimension of an output whose size varies; None if its shape is always the same."""
    shapes = {sample[place].shape for side in (answers.baseline, answers.compressed) for sample in side}
    return varying_axis(answers.outputs[place], shapes)


def _groups(answers: VaryingAnswers, axes: Sequence[int | None]) -> list[list[int]]:
    """Group outputs that have the same number of rows in every sample, such as boxes and their scores."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, axis in enumerate(axes):
        if axis is not None:
            samples = [*answers.baseline, *answers.compressed]
            groups.setdefault(tuple(sample[place].shape[axis] for sample in samples), []).append(place)
    return list(groups.values())


def _alike(answers: VaryingAnswers, places: Sequence[int]) -> NDArray[np.float64]:
    """Return the lowest cosine of each sample over the parts of outputs that do not vary; 1 without such outputs."""
    lowest = np.ones(len(answers.baseline))
    for place in places:
        old, new = (
            np.stack([sample[place].ravel() for sample in side]) for side in (answers.baseline, answers.compressed)
        )
        if old.size:
            shape = answers.baseline[0][place].shape
            parts = split_answers(old, [OutputShape(answers.outputs[place].name, shape, (True,) * len(shape))])
            lowest = np.minimum(lowest, np.maximum(0.0, part_cosines(old, new, parts).min(axis=1)))
    return lowest


def _matched(answers: VaryingAnswers, places: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Return the F1 of each sample over outputs that share rows; `places` are (output, varying dimension)."""
    tables = [[_rows(side, place, axis) for place, axis in places] for side in (answers.baseline, answers.compressed)]
    infos = [answers.outputs[place] for place, _ in places]
    limits = [_limits(info, rows) for info, rows in zip(infos, tables[0], strict=True)]
    scores = []
    for sample in range(len(answers.baseline)):
        old, new = ([rows[sample] for rows in side] for side in tables)
        fits = np.ones((len(old[0]), len(new[0])), dtype=np.bool_)
        for info, limit, left, right in zip(infos, limits, old, new, strict=True):
            fits &= _overlap(left, right) if _are_boxes(info, left) else _close(left, right, limit)
        scores.append(matched_share(old[0], new[0], fits))
    return np.array(scores)


def _rows(side: Tables, place: int, axis: int) -> list[Rows]:
    """Return the rows of an output in each sample, shape (rows, values)."""
    moved = [np.moveaxis(sample[place].astype(np.float64), axis, 0) for sample in side]
    return [value.reshape(len(value), int(np.prod(value.shape[1:]))) for value in moved]


def _limits(info: TensorInfo, rows: Sequence[Rows]) -> NDArray[np.float64]:
    """Return the largest difference of each value between matching rows: 0 for whole numbers, such as classes."""
    every = np.concatenate(rows)
    if info.dtype.kind != "f" or not len(every):
        return np.zeros(every.shape[1])
    whole = (every == np.round(every)).all(axis=0)
    return np.where(whole, 0.0, TOLERANCE * np.ptp(every, axis=0) + 1e-4 * np.abs(every).max(axis=0))


def _close(old: Rows, new: Rows, limit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows differ by no more than their limits, shape (rows, rows)."""
    fits = np.ones((len(old), len(new)), dtype=np.bool_)
    for column in range(old.shape[1]):
        fits &= np.abs(old[:, column, np.newaxis] - new[np.newaxis, :, column]) <= limit[column]
    return fits


def _are_boxes(info: TensorInfo, rows: Rows) -> bool:
    """Return whether an output holds boxes of two corners: by its name, and if the corners are in order."""
    named = info.dtype.kind == "f" and rows.shape[1] == 4 and "box" in info.name.lower()
    return named and bool((rows[:, 2:] >= rows[:, :2]).all())


def _overlap(old: Rows, new: Rows) -> NDArray[np.bool_]:
    """Return which boxes (x1, y1, x2, y2) overlap by at least OVERLAP of their union, shape (rows, rows)."""
    left, right = old[:, np.newaxis], new[np.newaxis]
    sides = np.minimum(left[..., 2:], right[..., 2:]) - np.maximum(left[..., :2], right[..., :2])
    common = np.prod(np.maximum(sides, 0.0), axis=-1)
    areas = [np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1) for boxes in (left, right)]
    union = areas[0] + areas[1] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0) >= OVERLAP)


def _largest_difference(answers: VaryingAnswers) -> float:
    """Return the largest difference between values of outputs that have the same shape in both models."""
    pairs = (
        (old, new)
        for before, after in zip(answers.baseline, answers.compressed, strict=True)
        for old, new in zip(before, after, strict=True)
        if old.shape == new.shape and old.size and np.isfinite(new).all()
    )
    return max((float(np.abs(old - new).max()) for old, new in pairs), default=0.0)


def _require_rows(answers: VaryingAnswers) -> None:
    if any(value.size for side in (answers.baseline, answers.compressed) for sample in side for value in sample):
        return
    names = ", ".join(info.name for info in answers.outputs)
    problem = f"no sample has a row in any output ({names}), so that nothing can be compared"
    remedy = "give data in which the model finds something"
    raise InvalidInput(
        INVALID_INPUT, "spec.data.evaluation.source", f"{len(answers.baseline)} samples", problem, remedy
    )


def _require_finite(answers: VaryingAnswers) -> None:
    for row, sample in enumerate(answers.baseline):
        if not all(np.isfinite(value).all() for value in sample):
            problem = "the baseline itself answers with NaN or infinity"
            remedy = "give a model and data for which it does not"
            raise InvalidInput("InvalidModel", "spec.model.source", f"sample {row}", problem, remedy)
