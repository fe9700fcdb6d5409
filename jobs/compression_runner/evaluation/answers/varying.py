"""Outputs whose size differs between samples, such as the boxes that a detector ends in.

The answers to one sample are kept as one row of numbers that holds their shapes, too, so that they are kept and put
together as any others are.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.answers import chosen_outputs, of_samples
from compression_runner.inference.batch_axis import batch_symbols, fixed_batch
from compression_runner.inference.predictor import Predictor, TensorInfo
from compression_runner.inference.similarity import Floats
from compressionjob.tasks import Task

Tables = list[list[Floats]]
"""The outputs of each sample, as the model gives them."""


@dataclass(frozen=True)
class VaryingAnswers:
    """What both models answer, where outputs have other sizes for other samples."""

    outputs: tuple[TensorInfo, ...]
    baseline: Tables
    compressed: Tables

    def only_compressed(self) -> list[str]:
        """Return the outputs whose size varies, where the baseline's sizes do not: another size for some sample."""
        if len(set(map(_shapes, self.baseline))) > 1:
            return []
        usual = _shapes(self.baseline[0])
        found = zip(self.outputs, usual, zip(*map(_shapes, self.compressed), strict=True), strict=True)
        return [info.name for info, shape, shapes in found if any(other != shape for other in shapes)]

    def baseline_rows(self) -> Floats:
        """Return the baseline's answers as values of each sample, where their sizes do not vary."""
        return _flat(self.outputs, self.baseline)


def may_vary(predictor: Predictor, task: Task, batch_size: int) -> bool:
    """Return whether the size of an output may differ between samples of a model that is given one at a time."""
    if task != "onnx" or (fixed_batch(predictor.inputs) or batch_size) != 1:
        return False
    symbols = batch_symbols(predictor.inputs)
    return any(not info.shape or _has_rows(info, symbols) for info in chosen_outputs(predictor.outputs, task))


def _has_rows(info: TensorInfo, symbols: Collection[str]) -> bool:
    """Return whether a dimension is free that does not bear a name of the batch."""
    names = info.symbols or ("",) * len(info.shape)
    return any(size is None and name not in symbols for size, name in zip(info.shape, names, strict=True))


def varying_answers(
    predictor: Predictor, data: SampleSet, task: Task, advance: Callable[[float], None] | None = None
) -> Floats:
    """Return one row for each sample, shape (samples, numbers); `tables_of` takes it apart."""
    names = [info.name for info in chosen_outputs(predictor.outputs, task)]
    rows: list[NDArray[np.float32]] = []
    for index in range(len(data)):
        rows.append(_row(predictor.run(data.batch([index], predictor.inputs), names)))
        if advance:
            advance(len(rows) / len(data))
    widest = max(map(len, rows))
    return np.stack([np.pad(row, (0, widest - len(row))) for row in rows])


def names_that_vary(predictor: Predictor, data: SampleSet, task: Task) -> list[str]:
    """Return the outputs whose shape differs between samples."""
    names = [info.name for info in chosen_outputs(predictor.outputs, task)]
    samples = tables_of(varying_answers(predictor, data, task), len(names))
    return [name for place, name in enumerate(names) if len({sample[place].shape for sample in samples}) > 1]


def tables_of(rows: Floats, count: int) -> Tables:
    """Return the `count` outputs of each sample."""
    return [_outputs(row, count) for row in rows]


def as_rows(outputs: Sequence[TensorInfo], old: Floats, new: Floats) -> tuple[Floats, Floats] | VaryingAnswers:
    """Return the answers of both models as values of each sample, unless sizes differ or there are no values."""
    before, after = (tables_of(rows, len(outputs)) for rows in (old, new))
    shapes = {_shapes(sample) for side in (before, after) for sample in side}
    if len(shapes) > 1 or not any(value.size for value in before[0]):
        return VaryingAnswers(tuple(outputs), before, after)
    return _flat(outputs, before), _flat(outputs, after)


def _shapes(sample: Sequence[Floats]) -> tuple[tuple[int, ...], ...]:
    return tuple(value.shape for value in sample)


def _flat(outputs: Sequence[TensorInfo], side: Tables) -> Floats:
    """Return the outputs of each sample as one row, in the order in which `answers` has their values."""
    return np.stack(
        [
            np.concatenate([of_samples(value, info, 1).ravel() for value, info in zip(sample, outputs, strict=True)])
            for sample in side
        ]
    )


def _row(values: Sequence[NDArray[np.generic]]) -> NDArray[np.float32]:
    parts = [np.concatenate([[value.ndim, *value.shape], value.ravel().astype(np.float32)]) for value in values]
    return np.concatenate(parts).astype(np.float32)


def _outputs(row: NDArray[np.float32], count: int) -> list[Floats]:
    found, at = [], 0
    for _ in range(count):
        dims = int(row[at])
        shape = tuple(int(size) for size in row[at + 1 : at + 1 + dims])
        at += 1 + dims
        size = int(np.prod(shape))
        found.append(row[at : at + size].reshape(shape))
        at += size
    return found
