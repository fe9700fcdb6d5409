"""Split a model's answers into parts that are judged separately: each output, and channels of different magnitude.

A cosine over all values ignores small ones: boxes in pixels hide class scores from 0 to 1. So the answers of an ONNX
model are split by output, and an output along one axis if the largest magnitudes of its channels differ. Channels are
ordered by their largest magnitude in the baseline's answers; a group may begin where one is FACTOR times its
predecessor. A group counts if it has LEAST_SHARE of the channels, or if it has larger numbers at the start or the end
of the axis (boxes before hundreds of classes). Other channels, such as single outliers among hidden units, join the
next group. A channel that is always zero joins its neighbour. So most outputs are one part.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.inference.similarity import Floats, row_cosines

FACTOR: Final = 10.0
LEAST_SHARE: Final = 1 / 64
NOTHING: Final = 1e-3
"""A row shorter than this share of the usual length has no direction."""
RUNS_IN_NAME: Final = 4

Places = NDArray[np.int64]


@dataclass(frozen=True)
class OutputShape:
    """An output in a row of answers: name, shape of one sample, and which axes the graph fixes."""

    name: str
    shape: tuple[int, ...]
    fixed: tuple[bool, ...]

    @property
    def size(self) -> int:
        """Number of values in a row."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class AnswerPart:
    """A part of a row of answers: its indices, and its root mean square length in the baseline's rows."""

    name: str
    places: Places
    length: float

    def of(self, rows: Floats) -> Floats:
        """Return the part of rows, shape (samples, places); without a copy if the indices are contiguous."""
        return _chosen(rows, self.places)


def split_answers(baseline: Floats, outputs: Sequence[OutputShape]) -> tuple[AnswerPart, ...]:
    """Split rows of answers by the baseline's, shape (samples, values); `outputs` are in the row's order.

    An output without values is left out.
    """
    if sum(output.size for output in outputs) != baseline.shape[1]:
        raise ValueError(f"outputs of {[output.shape for output in outputs]} make no row of {baseline.shape[1]} values")
    parts: list[AnswerPart] = []
    start = 0
    for output in outputs:
        if output.size:
            parts += [_part(name, start + places, baseline) for name, places in _groups(baseline, start, output)]
        start += output.size
    return _with_zeros_joined(parts, baseline)


def whole(baseline: Floats) -> tuple[AnswerPart, ...]:
    """Return all values of a row as one part."""
    return (_part("", np.arange(baseline.shape[1]), baseline),)


def part_cosines(baseline: Floats, compressed: Floats, parts: Sequence[AnswerPart]) -> NDArray[np.float64]:
    """Return the cosine of each part of each pair of rows, shape (samples, parts).

    A single number has no direction, nor does a part of a row that is nearly zero in the baseline, if there are several
    parts. Their vectors get the part's usual length as an additional value.
    """
    return np.stack([_cosines(baseline, compressed, part, alone=len(parts) == 1) for part in parts], axis=1)


def directed(rows: Floats, part: AnswerPart) -> Floats:
    """Return a part of rows as vectors; a single number gets the part's usual length as a second value."""
    values = part.of(rows)
    return _with_length(values, part) if values.shape[1] == 1 else values


def _cosines(baseline: Floats, compressed: Floats, part: AnswerPart, *, alone: bool) -> NDArray[np.float64]:
    old, new = directed(baseline, part), directed(compressed, part)
    cosines = row_cosines(old, new)
    faint = _lengths(old) < NOTHING * part.length
    if not alone and faint.any():
        cosines[faint] = row_cosines(_with_length(old[faint], part), _with_length(new[faint], part))
    return cosines


def _with_length(rows: Floats, part: AnswerPart) -> Floats:
    return np.concatenate([rows, np.full((len(rows), 1), part.length, dtype=np.float32)], axis=1)


def _part(name: str, places: Places, baseline: Floats) -> AnswerPart:
    return AnswerPart(name, places, float(np.sqrt(np.square(_lengths(_chosen(baseline, places))).mean())))


def _chosen(rows: Floats, places: Places) -> Floats:
    first, last = int(places[0]), int(places[-1])
    return rows[:, first : last + 1] if last - first == len(places) - 1 else rows[:, places]


def _lengths(rows: Floats) -> NDArray[np.float64]:
    """Return the length of each row, without a copy in double precision."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)))


def _with_zeros_joined(parts: list[AnswerPart], baseline: Floats) -> tuple[AnswerPart, ...]:
    """Join parts that are always zero with the part of least magnitude: alone they have no cosine."""
    there = [part for part in parts if part.length > 0]
    if not there or len(there) == len(parts):
        return tuple(parts)
    least = min(there, key=lambda part: part.length / math.sqrt(len(part.places)))
    zeros = [part.places for part in parts if not part.length > 0]
    joined = _part(least.name, np.sort(np.concatenate([least.places, *zeros])), baseline)
    return tuple(joined if part is least else part for part in there)


def _groups(baseline: Floats, start: int, output: OutputShape) -> Iterator[tuple[str, Places]]:
    """Yield the groups of an output's channels: name, and indices in the output."""
    places = np.arange(output.size).reshape(output.shape)
    axes = [axis for axis, fixed in enumerate(output.fixed) if fixed] or list(range(len(output.shape)))
    values = baseline[:, start : start + output.size].reshape(len(baseline), *output.shape)
    divided = [(axis, *_levels(_peaks(values, axis + 1))) for axis in axes]
    axis, levels, gap = max(divided, key=lambda division: division[2], default=(0, [], 1.0))
    if gap <= 1.0:
        yield output.name, places.ravel()
        return
    where = f" of axis {axis + 1}" if len(output.shape) > 1 else ""
    for channels in sorted(levels, key=lambda one: int(one[0])):
        chosen = np.take(places, channels, axis=axis)
        yield f"{output.name}, channels {_runs(channels)}{where}", np.sort(chosen.ravel())


def _peaks(values: Floats, axis: int) -> NDArray[np.float64]:
    """Return the greatest magnitude at each index of an axis."""
    others = tuple(index for index in range(values.ndim) if index != axis)
    return np.asarray(np.maximum(values.max(axis=others), -values.min(axis=others)), dtype=np.float64)


def _levels(peaks: NDArray[np.float64]) -> tuple[list[Places], float]:
    """Return groups of channels of similar magnitude, and the widest gap between two; no group and 1 for one level."""
    order = np.flatnonzero(peaks > 0)
    order = order[np.argsort(peaks[order], kind="stable")]
    bounds = np.flatnonzero(peaks[order[1:]] >= FACTOR * peaks[order[:-1]]) + 1
    groups: list[Places] = []
    waiting = np.empty(0, dtype=np.int64)
    for channels in np.split(order, bounds):
        waiting = np.sort(np.concatenate([waiting, channels]))
        if _counts(waiting, len(peaks), larger=bool(groups)):
            groups.append(waiting)
            waiting = np.empty(0, dtype=np.int64)
    if groups and len(waiting):
        groups[-1] = np.sort(np.concatenate([groups[-1], waiting]))
    if len(groups) < 2:
        return [], 1.0
    gap = max(peaks[upper].min() / peaks[lower].max() for lower, upper in itertools.pairwise(groups))
    return _with_zero_channels(groups, peaks), float(gap)


def _counts(channels: Places, count: int, *, larger: bool) -> bool:
    if len(channels) >= LEAST_SHARE * count or not larger:
        return len(channels) >= LEAST_SHARE * count
    contiguous = int(channels[-1] - channels[0]) == len(channels) - 1
    return contiguous and (channels[0] == 0 or channels[-1] == count - 1)


def _with_zero_channels(groups: list[Places], peaks: NDArray[np.float64]) -> list[Places]:
    """Add each channel that is always zero to the group of the channel before it, or of the first one after it."""
    group = np.full(len(peaks), -1, dtype=np.int64)
    for index, channels in enumerate(groups):
        group[channels] = index
    last = group[group >= 0][0]
    for channel in range(len(group)):
        last = group[channel] = last if group[channel] < 0 else group[channel]
    return [np.flatnonzero(group == index) for index in range(len(groups))]


def _runs(channels: Places) -> str:
    """Return channels as text: "0-3, 5"."""
    runs = np.split(channels, np.flatnonzero(np.diff(channels) > 1) + 1)
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return ", ".join(texts[:RUNS_IN_NAME]) + (" and so on" if len(texts) > RUNS_IN_NAME else "")
