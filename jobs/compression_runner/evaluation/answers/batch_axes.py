"""Locate the batch axis of each tensor by running a model on one sample and on two.

An axis counts the samples if it doubles with them, and if a different first sample changes only the first part. So time
steps, or the rows of one sample, are not taken for samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.dataset.steps import stepwise
from compression_runner.errors import InvalidInput, cause
from compression_runner.evaluation.answers.answers import MODEL, ONE_AT_A_TIME, chosen_outputs
from compression_runner.evaluation.answers.varying import may_vary, names_that_vary, require_rows
from compression_runner.inference.batch_axis import batch_symbols, fixed_at_one, fixed_batch
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import Predictor, TensorInfo
from compressionjob.conditions import INVALID_INPUT
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task

NOISE: Final = 0.02
"""How much an answer may depend on the other samples of its batch: integer models scale by the batch."""
INFLUENCE: Final = 0.2
"""The same, as a share of the change of the other sample's own answer."""
LOOKED_AT: Final = 64
"""Samples that are searched for one that differs from the first."""
SHOWN: Final = 16
"""Samples that show early whether outputs vary in their number of rows."""
TRIED: Final = 9
"""Placements of the batch axes that are tried for inputs without names of dimensions."""


@dataclass(frozen=True)
class Axes:
    """The batch axes of inputs and outputs by name; `single` if the model takes one sample at a time only."""

    inputs: dict[str, int | None]
    outputs: dict[str, int | None]
    single: bool = False

    def apply(self, predictor: Predictor) -> None:
        """Set the axes in a predictor's inputs and outputs."""
        predictor.inputs = _placed(predictor.inputs, self.inputs)
        predictor.outputs = _placed(predictor.outputs, self.outputs)
        if self.single:
            predictor.inputs = tuple(map(fixed_at_one, predictor.inputs))


def place_batch(spec: CompressionJobSpec, predictors: Sequence[Predictor], data: SampleSet) -> None:
    """Locate the batch axes of the first model, and set them in all `predictors`, which have the same interface.

    Raises what `locate` raises.
    """
    if not answers_at_once(spec, data):
        return
    axes = locate(predictors[0], data, spec.model.task, spec.benchmark.batch_size)
    for predictor in predictors:
        axes.apply(predictor)


def batch_of_inputs(spec: CompressionJobSpec, graph: Path, data: SampleSet) -> Axes:
    """Return the batch axes of a graph, before any stage works on it.

    Raises what `locate` raises, and InvalidInput for a graph that does not load.
    """
    if not answers_at_once(spec, data):
        return Axes({}, {})
    with stepwise(open_predictor(graph, 1, "onnxruntime"), data) as predictor:
        axes = locate(predictor, data, spec.model.task, spec.benchmark.batch_size)
        axes.apply(predictor)
        _run(predictor, data, predictor.inputs, predictor.outputs, [0] * (fixed_batch(predictor.inputs) or 1))
        if spec.model.task == "onnx":
            _require_fitting_metric(spec, predictor, data)
    return axes


def _require_fitting_metric(spec: CompressionJobSpec, predictor: Predictor, data: SampleSet) -> None:
    """Refuse a metric of rows for outputs of one size, and the reverse, as far as a few samples show it."""
    metric, task, batch_size = spec.quality_metric, spec.model.task, spec.benchmark.batch_size
    if metric == "matches":
        require_rows(predictor.inputs, predictor.outputs, task, batch_size)
    if not may_vary(predictor.inputs, predictor.outputs, task, batch_size):
        return
    names = names_that_vary(predictor, data.only(range(min(len(data), SHOWN))), task)
    if names and metric not in (None, "matches"):
        problem = f"output {names[0]} has another number of rows for each sample"
        remedy = "choose matches, or end the model before NonMaxSuppression"
        raise InvalidInput(INVALID_INPUT, "spec.sla.quality.metric", metric, problem, remedy)


def answers_at_once(spec: CompressionJobSpec, data: SampleSet) -> bool:
    """Return whether a model answers a sample in one run: it generates no text and is not measured on running text."""
    return not TASKS[spec.model.task].running_text and data.generation is None


def locate(predictor: Predictor, data: SampleSet, task: Task, batch_size: int) -> Axes:
    """Return the batch axes of all inputs, and of the outputs that the task is judged by.

    If a model answers one sample at a time, the whole output belongs to the sample. Raises InvalidInput, naming the
    tensor, if an axis cannot be located or the model does not run on the data.
    """
    axes = _locate(predictor, data, task, batch_size)
    return replace(axes, single=axes.single or data.single)


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
    """Return whether the names of the dimensions identify the batch axis of each tensor."""
    symbols = batch_symbols(inputs)
    counted = [*(info for info in inputs if info.axis is not None), *outputs]
    return bool(symbols) and all(sum(symbol in symbols for symbol in info.symbols) == 1 for info in counted)


def _candidates(inputs: Sequence[TensorInfo]) -> Iterator[tuple[TensorInfo, ...]]:
    """Yield possible placements of the batch axes, the likeliest first."""
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
    """Return the outputs with their batch axes, given those of `inputs`. Raises InvalidInput if none fits."""
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
    """Return an output with its batch axis; `alone` is its shape for one sample if the batch size is free."""
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
    """Return whether two samples have twice the size in this dimension, and the same size in all others."""
    return len(alone) == len(two) and all(
        size == (2 * before if index == place else before)
        for index, (size, before) in enumerate(zip(two, alone, strict=True))
    )


def _are_apart(alike: NDArray[Any], changed: NDArray[Any], place: int, count: int) -> bool:
    """Return whether a different first sample leaves the answers to all others unchanged."""
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
    """Return the index of a sample that differs from the first, among the first LOOKED_AT; 0 if none does."""
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
