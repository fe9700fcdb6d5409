"""Answer the evaluation data with a model, one row per sample."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.inference.answer_parts import OutputShape
from compression_runner.inference.predictor import Predictor, TensorInfo
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT
from compressionjob.tasks import TASKS, Task

EMBEDDINGS: Final = ("sentence_embedding", "embeddings", "last_hidden_state", "token_embeddings")
CLASS_SCORES: Final = ("logits", "probabilities", "scores")
MODEL: Final = "spec.model.source"
ONE_AT_A_TIME: Final = "set spec.benchmark.batchSize to 1, or export the model with a batch axis in this tensor"
NUMBERS: Final = ("predictions", "prediction", "variable", *CLASS_SCORES)


class SizeVaries(InvalidInput):
    """Outputs whose size differs between samples; `value` names them."""


def answers(
    predictor: Predictor,
    data: SampleSet,
    task: Task,
    batch_size: int,
    advance: Callable[[float], None] | None = None,
) -> Floats:
    """Return the model's answers, shape (samples, values), in the order of the data.

    The row of an embedding model is the embedding (token outputs are averaged over the attention mask), of a classifier
    the class scores, of a regression the number. The row of another ONNX model has all its outputs, each split along
    its batch axis. `advance` receives the share that is done.
    The batch size is the one that will be served: dynamic quantization scales by batch, so the answers depend on it.
    Raises InvalidInput for a model whose outputs do not fit its task: SizeVaries if they have no batch axis, or a
    different size for some samples.
    """
    chosen = chosen_outputs(predictor.outputs, task)
    rows: Floats | None = None
    done = 0
    for indices in data.batches(predictor.inputs, batch_size):
        feed = data.batch(indices, predictor.inputs)
        values = predictor.run(feed, [output.name for output in chosen])
        each = [of_samples(value, info, len(indices)) for value, info in zip(values, chosen, strict=True)]
        batch_rows = _rows(each, feed.get("attention_mask"), task)
        if rows is None:
            rows = np.zeros((len(data), batch_rows.shape[1]), dtype=np.float32)
        if batch_rows.shape[1] != rows.shape[1]:
            raise _varies(chosen, task)
        rows[indices] = batch_rows
        done += len(indices)
        if advance:
            advance(min(1.0, done / len(data)))
    if rows is None:
        raise ValueError("an evaluation set has at least one sample")
    return rows


def output_shapes(predictor: Predictor, data: SampleSet, task: Task) -> tuple[OutputShape, ...]:
    """Return the outputs that make up a row of answers, in order; empty for tasks whose row is one output."""
    if task != "onnx":
        return ()
    chosen = chosen_outputs(predictor.outputs, task)
    indices = next(iter(data.batches(predictor.inputs, 1)))
    values = predictor.run(data.batch(indices, predictor.inputs), [output.name for output in chosen])
    return tuple(
        _output_shape(of_samples(value, info, len(indices)), info) for info, value in zip(chosen, values, strict=True)
    )


def _output_shape(samples: NDArray[np.generic], info: TensorInfo) -> OutputShape:
    shape, stated = samples.shape[1:], info.sample_shape
    fixed = tuple(size is not None for size in stated) if len(stated) == len(shape) else (True,) * len(shape)
    return OutputShape(info.name, shape, fixed)


def kept_answers(path: Path | None, compute: Callable[[], Floats]) -> Floats:
    """Return the answers stored in `path`, whose name has their fingerprint, or compute and store them."""
    if path is not None and path.is_file():
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    rows = compute()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, rows)
        part.replace(path)
    return rows


def of_samples(value: NDArray[np.generic], info: TensorInfo, count: int) -> NDArray[np.generic]:
    """Return an output of `count` samples with the samples as its first dimension.

    An output without a batch axis is repeated for every sample. If a sample has several rows, those of the first sample
    come first. Raises SizeVaries if the rows do not divide by `count`.
    """
    axis = info.axis if value.ndim else None
    if axis is None:
        return np.broadcast_to(value, (count, *value.shape))
    stated = len(info.shape) in (0, value.ndim) or count == 1
    if not stated or axis >= value.ndim or value.shape[axis] % count:
        problem = f"dimension {axis} of output {info.name} should count {count} samples; its shape is {value.shape}"
        raise SizeVaries(INVALID_INPUT, MODEL, info.name, problem, ONE_AT_A_TIME)
    moved = np.moveaxis(value, axis, 0)
    return moved if len(moved) == count else moved.reshape(count, len(moved) // count, *moved.shape[1:])


def _varies(outputs: list[TensorInfo], task: Task) -> SizeVaries:
    names = ", ".join(output.name for output in outputs)
    problem = f"the size of the output ({names}) differs between samples, which task {task} cannot compare"
    remedy = "use task onnx with spec.benchmark.batchSize 1, or export the model with outputs of one size"
    return SizeVaries(INVALID_INPUT, MODEL, names, problem, remedy)


def chosen_outputs(outputs: Sequence[TensorInfo], task: Task) -> list[TensorInfo]:
    """Return the outputs that the task is judged by. Raises InvalidInput if there are none."""
    if task == "onnx":
        numeric = [output for output in outputs if output.dtype.kind in "fiub"]
        if numeric:
            return numeric
    numeric = [output for output in outputs if output.dtype.kind in "fiu"]
    floats = {output.name: output for output in numeric if output.dtype.kind == "f"}
    for name in _preferred(task):
        if name in floats and (task == "text-embedding" or _is_one_row(floats[name])):
            return [floats[name]]
    # A graph may leave out the dimension of the one number that a regression predicts.
    shapes = (1, 2) if TASKS[task].predicts_number else (2,)
    flat = [output for output in floats.values() if len(output.shape) in shapes]
    if flat:
        return flat[:1]
    deep = [output for output in floats.values() if len(output.shape) == 3]
    if deep and task == "text-embedding":
        return deep[:1]
    names = ", ".join(f"{output.name} {output.dtype} {output.shape}" for output in outputs)
    raise InvalidInput(
        INVALID_INPUT,
        "spec.model.task",
        task,
        f"the model's outputs do not fit: {names}",
        "name the task it was made for",
    )


def _is_one_row(info: TensorInfo) -> bool:
    """Return whether an output has one row of numbers per sample, not one per token or pixel."""
    return all(size == 1 for size in info.shape[2:])


def _preferred(task: Task) -> tuple[str, ...]:
    """Return the names that exporters give to the output of a task."""
    if TASKS[task].predicts_number:
        return NUMBERS
    return CLASS_SCORES if TASKS[task].classifies else EMBEDDINGS


def _rows(values: list[NDArray[np.generic]], mask: NDArray[np.generic] | None, task: Task) -> Floats:
    """Return one row per sample from the outputs of one batch, whose first dimension counts the samples."""
    if task == "onnx":
        return np.concatenate([value.reshape(len(value), -1).astype(np.float32) for value in values], axis=1)
    value = values[0].astype(np.float32)
    if value.ndim == 3 and task == "text-embedding":
        weight = np.ones(value.shape[:2], np.float32) if mask is None else mask.astype(np.float32)
        value = np.einsum("btd,bt->bd", value, weight) / np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    return value.reshape(len(value), -1)
