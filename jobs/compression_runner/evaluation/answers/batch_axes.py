"""The batch axis of each tensor, found by running a model on one sample and on two.

An axis counts the samples where it doubles with them, and where another first sample changes the first part alone. That
keeps time steps, or the rows of one sample, from being taken for samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput, cause
from compression_runner.evaluation.answers.answers import MODEL, ONE_AT_A_TIME, chosen_outputs
from compression_runner.evaluation.answers.varying import may_vary, names_that_vary
from compression_runner.inference.batch_axis import batch_symbols, fixed_at_one, fixed_batch
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import Predictor, TensorInfo
from compressionjob.conditions import INVALID_INPUT
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task

NOISE: Final = 0.02
"""By how much an answer may change with the other sample of its batch: models of integers scale by the batch."""
INFLUENCE: Final = 0.2
"""The same as a share of the change of the other sample's own answer."""
LOOKED_AT: Final = 64
"""Samples among which one that differs from the first is sought."""
SHOWN: Final = 16
"""Samples by which it is known early that outputs vary in their number of rows."""
TRIED: Final = 9
"""Ways to place the batch axes of inputs whose dimensions have no names."""


@dataclass(frozen=True)
class Axes:
    """The batch axes of inputs and outputs by name; `single` where the model takes one sample at a time only."""

    inputs: dict[str, int | None]
    outputs: dict[str, int | None]
    single: bool = False

    def apply(self, predictor: Predictor) -> None:
        """Let a predictor state them."""
        predictor.inputs = _placed(predictor.inputs, self.inputs)
        predictor.outputs = _placed(predictor.outputs, self.outputs)
        if self.single:
            predictor.inputs = tuple(map(fixed_at_one, predictor.inputs))


def place_batch(spec: CompressionJobSpec, predictors: Sequence[Predictor], data: SampleSet) -> None:
    """Let two models that take and give the same state the batch axes that the first one is found to have.

    Raises what `locate` raises.
    """
    if not answers_at_once(spec, data):
        return
    axes = locate(predictors[0], data, spec.model.task, spec.benchmark.batch_size)
    for predictor in predictors:
        axes.apply(predictor)


def batch_of_inputs(spec: CompressionJobSpec, graph: Path, data: SampleSet) -> Axes:
    """Return the batch axes of a graph, found before any stage works on it.

    Raises what `locate` raises, and InvalidInput for a graph that does not load.
    """
    if not answers_at_once(spec, data):
        return Axes({}, {})
    with open_predictor(graph, 1, "onnxruntime") as predictor:
        axes = locate(predictor, data, spec.model.task, spec.benchmark.batch_size)
        axes.apply(predictor)
        _run(predictor, data, predictor.inputs, predictor.outputs, [0] * (fixed_batch(predictor.inputs) or 1))
        if spec.model.task == "onnx":
            _require_fitting_metric(spec, predictor, data)
    return axes


def _require_fitting_metric(spec: CompressionJobSpec, predictor: Predictor, data: SampleSet) -> None:
    """Refuse a metric of rows for outputs of one size, and the other way round, as far as a few samples show it."""
    metric, varies = spec.quality_metric, may_vary(predictor, spec.model.task, spec.benchmark.batch_size)
    if metric == "matches" and not varies:
        problem = "no output has a number of rows that can differ between samples"
        remedy = "choose cosine or neighbours"
        raise InvalidInput(INVALID_INPUT, "spec.sla.quality.metric", metric, problem, remedy)
    if metric is None or metric == "matches" or not varies:
        return
    names = names_that_vary(predictor, data.only(range(min(len(data), SHOWN))), spec.model.task)
    if names:
        problem = f"output {names[0]} has another number of rows for each sample"
        remedy = "choose matches, or end the model before NonMaxSuppression"
        raise InvalidInput(INVALID_INPUT, "spec.sla.quality.metric", metric, problem, remedy)


def answers_at_once(spec: CompressionJobSpec, data: SampleSet) -> bool:
    """Return whether a model answers a sample in one run: it writes no text, and is not measured on running text."""
    return not TASKS[spec.model.task].running_text and data.writing is None


def locate(predictor: Predictor, data: SampleSet, task: Task, batch_size: int) -> Axes:
    """Return the batch axes of all inputs, and of the outputs that count for the task.

    Of a model that answers one sample at a time the whole output is the sample's. Raises InvalidInput, naming the
    tensor, where an axis cannot be found, and where the model does not run on the data.
    """
    found = _locate(predictor, data, task, batch_size)
    return replace(found, single=found.single or data.single)


def _locate(predictor: Predictor, data: SampleSet, task: Task, batch_size: int) -> Axes:
    inputs = data.located(predictor.inputs)
    outputs = chosen_outputs(predictor.outputs, task)
    size = fixed_batch(inputs) or batch_size
    if _are_named(inputs, outputs) and (size == 1 or task != "onnx"):
        return replace(_axes(inputs, outputs), single=data.differs(inputs))
    refused: InvalidInput | None = None
    for candidate in _candidates(inputs):
        try:
            return _axes(candidate, _located(predictor, data, candidate, outputs))
        except InvalidInput as error:
            refused = refused or error
    if refused is None or size > 1:
        raise refused or ValueError("a model has at least one way to place its batch axes")
    _run(predictor, data, inputs, outputs, [0])
    single = data.differs(inputs) or not _takes_two(predictor, data, inputs, outputs)
    return replace(_axes(inputs, outputs), single=single)


def _takes_two(
    predictor: Predictor, data: SampleSet, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]
) -> bool:
    """Return whether the model runs on two samples at once."""
    try:
        _run(predictor, data, inputs, outputs, [0, 0])
    except InvalidInput:
        return False
    return True


def _are_named(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> bool:
    """Return whether names of dimensions leave no doubt."""
    symbols = batch_symbols(inputs)
    counted = [*(info for info in inputs if info.axis is not None), *outputs]
    return bool(symbols) and all(sum(symbol in symbols for symbol in info.symbols) == 1 for info in counted)


def _candidates(inputs: Sequence[TensorInfo]) -> Iterator[tuple[TensorInfo, ...]]:
    """Yield the ways in which the batch axes may lie, the likeliest first."""
    symbols = batch_symbols(inputs)
    ways = []
    for info in inputs:
        named = any(symbol in symbols for symbol in info.symbols)
        free = () if named else tuple(place for place, size in enumerate(info.shape) if size is None)
        ways.append([info.axis, *(place for place in free if place != info.axis)])
    for axes in islice(product(*ways), TRIED):
        yield tuple(replace(info, axis=axis) for info, axis in zip(inputs, axes, strict=True))


def _located(
    predictor: Predictor, data: SampleSet, inputs: tuple[TensorInfo, ...], outputs: Sequence[TensorInfo]
) -> list[TensorInfo]:
    """Return the outputs with the axes that count samples if those of `inputs` do. Raises InvalidInput otherwise."""
    fixed = fixed_batch(inputs)
    count, other = fixed or 2, _another(data)
    if fixed == 1:
        return list(outputs)
    alike = _run(predictor, data, inputs, outputs, [0] * count)
    changed = _run(predictor, data, inputs, outputs, [other] + [0] * (count - 1))
    alone = None if fixed else _run(predictor, data, inputs, outputs, [0])
    return [
        _placed_output(info, count, alike[place], changed[place], None if alone is None else alone[place].shape)
        for place, info in enumerate(outputs)
    ]


def _placed_output(
    info: TensorInfo, count: int, alike: NDArray[Any], changed: NDArray[Any], alone: tuple[int, ...] | None
) -> TensorInfo:
    """Return an output with its batch axis; `alone` is its shape for one sample where the batch is free."""
    if alike.shape != changed.shape:
        problem = f"the shape of output {info.name} depends on the data: {alike.shape} and {changed.shape}"
        raise InvalidInput(INVALID_INPUT, MODEL, info.name, problem, ONE_AT_A_TIME)
    places = [place for place, size in enumerate(alike.shape) if size and not size % count]
    if alone is not None:
        places = [place for place in places if _doubles(alone, alike.shape, place)]
    fitting = [place for place in places if _are_apart(alike, changed, place, count)]
    if fitting:
        return replace(info, axis=info.axis if info.axis in fitting else fitting[0])
    if alone in (None, alike.shape) and np.array_equal(alike, changed, equal_nan=alike.dtype.kind == "f"):
        return replace(info, axis=None)
    if places:
        problem = f"the answer to one sample in output {info.name} depends on the others of its batch"
    else:
        shapes = f"its shape is {alike.shape}" + (f", and {alone} for one sample" if alone else "")
        problem = f"output {info.name} has no dimension that counts the samples ({shapes})"
    raise InvalidInput(INVALID_INPUT, MODEL, info.name, problem, ONE_AT_A_TIME)


def _doubles(alone: tuple[int, ...], two: tuple[int, ...], place: int) -> bool:
    """Return whether two samples have twice the size in this dimension, and the same in all others."""
    return len(alone) == len(two) and all(
        size == (2 * before if index == place else before)
        for index, (size, before) in enumerate(zip(two, alone, strict=True))
    )


def _are_apart(alike: NDArray[Any], changed: NDArray[Any], place: int, count: int) -> bool:
    """Return whether another first sample leaves the answers to all others as they were."""
    each = alike.shape[place] // count
    old, new = (np.moveaxis(np.nan_to_num(value.astype(np.float64)), place, 0) for value in (alike, changed))
    moved, influence = (float(np.linalg.norm(new[part] - old[part])) for part in (slice(each), slice(each, None)))
    return influence <= max(NOISE * float(np.linalg.norm(old[each:])), INFLUENCE * moved)


def _run(
    predictor: Predictor,
    data: SampleSet,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    indices: list[int],
) -> list[NDArray[Any]]:
    longest = max(data.length(0), data.length(_another(data)))
    feed = data.batch(indices, inputs, longest or None)
    try:
        return predictor.run(feed, [output.name for output in outputs])
    except InvalidInput as error:
        given = ", ".join(f"{name} {array.shape}" for name, array in feed.items())
        problem = f"the model does not run on {len(set(indices))} of its samples in a batch of {len(indices)} ({given})"
        remedy = "check that the arrays are what the model takes, and that the batch is free in all of its operators"
        raise InvalidInput(INVALID_INPUT, MODEL, ", ".join(feed), f"{problem}: {cause(error)}", remedy) from error


def _another(data: SampleSet) -> int:
    """Return a sample that differs from the first, if there is one among the first ones."""
    first = data.samples[0]
    different = (
        index
        for index in range(1, min(len(data), LOOKED_AT))
        if any(not np.array_equal(array, first[name]) for name, array in data.samples[index].items())
    )
    return next(different, 0)


def _axes(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> Axes:
    return Axes({info.name: info.axis for info in inputs}, {info.name: info.axis for info in outputs})


def _placed(tensors: Sequence[TensorInfo], axes: dict[str, int | None]) -> tuple[TensorInfo, ...]:
    return tuple(replace(info, axis=axes.get(info.name, info.axis)) for info in tensors)
