"""Outputs whose size differs between samples, such as the boxes of a detector.

The answers to one sample are kept as one row of numbers that includes their shapes, so that they are stored and joined
like any others.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.answers import MODEL, chosen_outputs, of_samples
from compression_runner.inference.batch_axis import batch_symbols, fixed_batch
from compression_runner.inference.predictor import Predictor, TensorInfo
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT
from compressionjob.tasks import Task

Tables = list[list[Floats]]
"""The outputs of each sample, as the model returns them."""


@dataclass(frozen=True)
class VaryingAnswers:
    """Both models' answers, when the sizes of outputs differ between samples."""

    outputs: tuple[TensorInfo, ...]
    baseline: Tables
    compressed: Tables

    def only_compressed(self) -> list[str]:
        """Return the outputs whose size varies in the compressed model only."""
        if len(set(map(_shapes, self.baseline))) > 1:
            return []
        usual = _shapes(self.baseline[0])
        sizes = zip(self.outputs, usual, zip(*map(_shapes, self.compressed), strict=True), strict=True)
        return [info.name for info, shape, shapes in sizes if any(other != shape for other in shapes)]

    def baseline_rows(self) -> Floats:
        """Return the baseline's answers as one row per sample; their sizes must not vary."""
        return _flat(self.outputs, self.baseline)


def may_vary(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], task: Task, batch_size: int) -> bool:
    """Return whether the size of an output may differ between samples; only a batch of one allows it."""
    if task != "onnx" or (fixed_batch(inputs) or batch_size) != 1:
        return False
    symbols = batch_symbols(inputs)
    return any(not info.shape or _has_rows(info, symbols) for info in chosen_outputs(outputs, task))


def require_rows(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], task: Task, batch_size: int) -> None:
    """Raise InvalidInput if metric matches has no output whose number of rows can differ between samples."""
    if may_vary(inputs, outputs, task, batch_size):
        return
    problem, remedy = "no output has a number of rows that can differ between samples", "choose cosine or neighbours"
    if may_vary(inputs, outputs, task, 1):
        problem = "rows are matched sample by sample, and the job measures several samples at once"
        remedy = "set spec.benchmark.batchSize to 1, or choose cosine or neighbours"
    raise InvalidInput(INVALID_INPUT, "spec.sla.quality.metric", "matches", problem, remedy)


def varying_axis(info: TensorInfo, shapes: Collection[tuple[int, ...]]) -> int | None:
    """Return the dimension of an output in which its shapes differ; None if they are equal.

    Raises InvalidInput if they differ in more than one.
    """
    ranks = {len(shape) for shape in shapes}
    axes = [axis for axis in range(min(ranks)) if len({shape[axis] for shape in shapes}) > 1]
    if len(ranks) == 1 and len(axes) <= 1:
        return axes[0] if axes else None
    seen = ", ".join(map(str, sorted(set(shapes))[:3]))
    problem = f"output {info.name} varies in more than one dimension between samples ({seen})"
    remedy = "leave this output out of the model, or export it with one size for all samples"
    raise InvalidInput(INVALID_INPUT, MODEL, info.name, problem, remedy)


def _has_rows(info: TensorInfo, symbols: Collection[str]) -> bool:
    """Return whether a dimension other than the batch is free."""
    names = info.symbols or ("",) * len(info.shape)
    return any(size is None and name not in symbols for size, name in zip(info.shape, names, strict=True))


def varying_answers(
    predictor: Predictor, data: SampleSet, task: Task, advance: Callable[[float], None] | None = None
) -> Floats:
    """Return one row for each sample, shape (samples, numbers); `tables_of` splits it."""
    names = [info.name for info in chosen_outputs(predictor.outputs, task)]
    rows: list[NDArray[np.float32]] = []
    for index in range(len(data)):
        rows.append(_row(predictor.run(data.batch([index], predictor.inputs), names)))
        if advance:
            advance(len(rows) / len(data))
    widest = max(map(len, rows))
    return np.stack([np.pad(row, (0, widest - len(row))) for row in rows])


def names_that_vary(predictor: Predictor, data: SampleSet, task: Task) -> list[str]:
    """Return the outputs whose shape differs between samples. Raises what `varying_axis` raises."""
    outputs = chosen_outputs(predictor.outputs, task)
    shapes = list(zip(*map(_shapes, tables_of(varying_answers(predictor, data, task), len(outputs))), strict=True))
    return [info.name for info, each in zip(outputs, shapes, strict=True) if varying_axis(info, each) is not None]


def tables_of(rows: Floats, count: int) -> Tables:
    """Return the `count` outputs of each sample."""
    return [_outputs(row, count) for row in rows]


def as_rows(outputs: Sequence[TensorInfo], old: Floats, new: Floats) -> tuple[Floats, Floats] | VaryingAnswers:
    """Return both models' answers as one row per sample, or as tables if sizes differ or there are no values."""
    before, after = (tables_of(rows, len(outputs)) for rows in (old, new))
    shapes = {_shapes(sample) for side in (before, after) for sample in side}
    if len(shapes) > 1 or not any(value.size for value in before[0]):
        return VaryingAnswers(tuple(outputs), before, after)
    return _flat(outputs, before), _flat(outputs, after)


def _shapes(sample: Sequence[Floats]) -> tuple[tuple[int, ...], ...]:
    return tuple(value.shape for value in sample)


def _flat(outputs: Sequence[TensorInfo], side: Tables) -> Floats:
    """Return the outputs of each sample as one row, in the order of `answers`."""
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
    outputs, at = [], 0
    for _ in range(count):
        dims = int(row[at])
        shape = tuple(int(size) for size in row[at + 1 : at + 1 + dims])
        at += 1 + dims
        size = int(np.prod(shape))
        outputs.append(row[at : at + size].reshape(shape))
        at += size
    return outputs
