"""What a model answers on the evaluation data, as one row per sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.inference.parts import OutputShape
from compression_runner.inference.predictor import Predictor, TensorInfo
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT
from compressionjob.tasks import TASKS, Task

EMBEDDINGS: Final = ("sentence_embedding", "embeddings", "last_hidden_state", "token_embeddings")
CLASS_SCORES: Final = ("logits", "probabilities", "scores")
NUMBERS: Final = ("predictions", "prediction", "variable", *CLASS_SCORES)


def answers(
    predictor: Predictor,
    data: SampleSet,
    task: Task,
    batch_size: int,
    advance: Callable[[float], None] | None = None,
) -> Floats:
    """Return what the model answers, shape (samples, values), in the order of the data.

    An embedding's row is the embedding (token outputs are averaged over the attention mask), a classifier's its class
    scores, a regression's its number, and that of any other ONNX model all its outputs. `advance` is told the share
    that is done.
    The batch is the one that will be served: dynamic quantization scales by batch, so another would answer otherwise.
    Raises InvalidInput for a model whose outputs are not those of its task.
    """
    chosen = _outputs(predictor.outputs, task)
    rows: Floats | None = None
    done = 0
    for indices in data.batches(predictor.inputs, batch_size):
        feed = data.batch(indices, predictor.inputs)
        values = predictor.run(feed, [output.name for output in chosen])
        found = _rows(values, feed.get("attention_mask"), task)
        if rows is None:
            rows = np.zeros((len(data), found.shape[1]), dtype=np.float32)
        rows[indices] = found
        done += len(indices)
        if advance:
            advance(min(1.0, done / len(data)))
    if rows is None:
        raise ValueError("an evaluation set has at least one sample")
    return rows


def output_shapes(predictor: Predictor, data: SampleSet, task: Task) -> tuple[OutputShape, ...]:
    """Return the outputs that make a row of answers, in its order; none for tasks whose row is one thing."""
    if task != "onnx":
        return ()
    chosen = _outputs(predictor.outputs, task)
    indices = next(iter(data.batches(predictor.inputs, 1)))
    values = predictor.run(data.batch(indices, predictor.inputs), [output.name for output in chosen])
    return tuple(
        OutputShape(info.name, value.shape[1:], tuple(size is not None for size in info.shape[1:]))
        for info, value in zip(chosen, values, strict=True)
    )


def kept_answers(path: Path | None, compute: Callable[[], Floats]) -> Floats:
    """Return the answers in `path`, whose name carries their fingerprint, or compute them and keep them there."""
    if path is not None and path.is_file():
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    found = compute()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, found)
        part.replace(path)
    return found


def _outputs(outputs: tuple[TensorInfo, ...], task: Task) -> list[TensorInfo]:
    """Return the outputs that count for the task."""
    numeric = [output for output in outputs if output.dtype.kind in "fiu"]
    if task == "onnx" and numeric:
        return numeric
    floats = {output.name: output for output in numeric if output.dtype.kind == "f"}
    for name in _preferred(task):
        if name in floats:
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


def _preferred(task: Task) -> tuple[str, ...]:
    """Return the names by which exporters call the output of a task."""
    if TASKS[task].predicts_number:
        return NUMBERS
    return CLASS_SCORES if TASKS[task].classifies else EMBEDDINGS


def _rows(values: list[NDArray[np.generic]], mask: NDArray[np.generic] | None, task: Task) -> Floats:
    """Return one row per sample from the outputs of one batch."""
    if task == "onnx":
        count = len(values[0])
        return np.concatenate([value.reshape(count, -1).astype(np.float32) for value in values], axis=1)
    value = values[0].astype(np.float32)
    if value.ndim == 3:
        weight = np.ones(value.shape[:2], np.float32) if mask is None else mask.astype(np.float32)
        value = np.einsum("btd,bt->bd", value, weight) / np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    return value.reshape(len(value), -1)
