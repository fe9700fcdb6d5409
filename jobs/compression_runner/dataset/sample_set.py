"""Samples as inputs of a model, and batches of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.cache_inputs import empty_past, is_past
from compression_runner.dataset.generation import TextGeneration
from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.texts import Texts
from compression_runner.inference.batch_axis import fixed_at_one, fixed_batch
from compression_runner.inference.predictor import TensorInfo, shape_text
from compression_runner.inference.stepping import initial_state

Sample = Mapping[str, NDArray[np.generic]]
"""Input name -> array of one sample, without the batch dimension; shared arrays are in each sample."""


@dataclass(frozen=True)
class SampleSet:
    """Samples of one data file, or of a folder.

    `padding` maps inputs with a free sequence length (tokens) to the value that pads them, at the end or, with `left`,
    in front. `free` are inputs of other kinds that differ in length (recordings); zeros pad them.
    `labels` has shape (samples,): class numbers (int64), or targets of a regression (float32). For a `multi_label`
    model it has shape (samples, labels), a 0 or a 1 for each. If `unnamed`, samples have one input, and a model with
    one input takes it under any name. `references` are reference texts for a model that generates text, and
    `generation` are its settings. In evaluation data, `groups` are the names of the samples' groups, and `texts` the
    source of token samples. `features` are the names of a table's columns. `axes` are the batch axes of inputs as
    measured by running the model; `single` is true if the model takes only one sample at a time. With a `state`
    (input -> output that gives its next value) a sample is a sequence of steps. `digest` is the SHA-256 of the data.
    """

    samples: Sequence[Sample]
    digest: str
    labels: NDArray[Any] | None = None
    padding: Mapping[str, int] = field(default_factory=dict)
    left: bool = False
    free: frozenset[str] = frozenset()
    unnamed: bool = False
    references: Sequence[str] | None = None
    generation: TextGeneration | None = None
    groups: Sequence[str] | None = None
    texts: Texts | None = None
    features: Sequence[str] = ()
    axes: Mapping[str, int | None] = field(default_factory=dict)
    single: bool = False
    multi_label: MultiLabel | None = None
    state: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def only(self, rows: Sequence[int]) -> "SampleSet":
        """Return a set of these samples only, in this order."""
        labels = None if self.labels is None else self.labels[np.asarray(rows, dtype=np.int64)]
        references = None if self.references is None else [self.references[row] for row in rows]
        return replace(
            self,
            samples=[self.samples[row] for row in rows],
            labels=labels,
            references=references,
            groups=None if self.groups is None else [self.groups[row] for row in rows],
            texts=None if self.texts is None else self.texts.only(rows),
        )

    @property
    def answered(self) -> bool:
        """Whether the data has reference answers."""
        return self.labels is not None or self.references is not None

    def length(self, index: int) -> int:
        """Return the sequence length of a sample; 0 if no input is a sequence."""
        return max((len(self.samples[index][name]) for name in (*self.padding, *self.free)), default=0)

    @cached_property
    def _longest(self) -> int:
        return max(map(self.length, range(len(self))), default=0)

    def batch(
        self, indices: Sequence[int], inputs: Sequence[TensorInfo], sequence_length: int | None = None
    ) -> dict[str, NDArray[np.generic]]:
        """Return the model's inputs for these samples, stacked.

        Sequences are padded to the length that the model fixes, or to `sequence_length`, or to the longest in the
        batch. With a `sequence_length`, recordings are padded to the longest in the set. Raises InvalidInput for an
        input that the data lacks, or has in another shape.
        """
        if self.unnamed and len(inputs) > 1:
            stored, expected = next(iter(self.samples[0])), ", ".join(info.name for info in inputs)
            problem = f"the model has the inputs {expected}; the data gives one: {stored}"
            raise bad_data(SOURCE, expected, problem, "give an .npz whose arrays have the names of the model's inputs")
        return {info.name: self._stacked(indices, info, sequence_length) for info in self.located(inputs)}

    def batches(self, inputs: Sequence[TensorInfo], size: int) -> Iterator[list[int]]:
        """Yield indices in batches; a batch has sequences of similar length, so that padding is short.

        A model with a fixed batch size gets it; the last batch repeats its last sample. Samples that differ in an
        input without a batch axis come one at a time.
        """
        inputs = self.located(inputs)
        fixed = fixed_batch(inputs) or (1 if self.differs(inputs) else None)
        order = sorted(range(len(self)), key=self.length) if self.padding or self.free else list(range(len(self)))
        step = fixed or size
        for start in range(0, len(order), step):
            part = order[start : start + step]
            yield part + part[-1:] * (step - len(part) if fixed else 0)

    def located(self, inputs: Sequence[TensorInfo]) -> tuple[TensorInfo, ...]:
        """Return the inputs of a model with the measured batch axes."""
        located = tuple(replace(info, axis=self.axes.get(info.name, info.axis)) for info in inputs)
        return tuple(map(fixed_at_one, located)) if self.single else located

    def differs(self, inputs: Sequence[TensorInfo]) -> bool:
        """Return whether samples differ in an input that has no batch axis."""
        shared = [info.name for info in self.located(inputs) if info.axis is None and info.name in self.samples[0]]
        first = self.samples[0]
        return any(
            sample[name] is not first[name] and not np.array_equal(sample[name], first[name])
            for name in shared
            for sample in self.samples
        )

    def _stacked(self, indices: Sequence[int], info: TensorInfo, sequence_length: int | None) -> NDArray[np.generic]:
        if is_past(info.name):
            return empty_past(info, len(indices))  # samples are whole texts, so the cache is empty
        first = self.samples[indices[0]]
        if info.name in self.state and info.name not in first:
            return initial_state(info, len(indices))
        name = next(iter(first)) if self.unnamed else info.name
        if name not in first:
            stored = ", ".join(first)
            problem = f"the model needs this input; the data gives: {stored}"
            raise bad_data(SOURCE, info.name, problem, "give data that has it (for task onnx an array of that name)")
        arrays = [self.samples[index][name] for index in indices]
        if name in self.padding or name in self.free:
            fixed = info.sample_shape[0] if info.sample_shape else None
            requested = self._longest if sequence_length and name in self.free else sequence_length
            length = fixed or requested or max(len(array) for array in arrays)
            arrays = [_padded(array, length, self.padding.get(name, 0), left=self.left) for array in arrays]
        return _cast(_shared(arrays, info) if info.axis is None else _along(arrays, info, info.axis), info)


def _along(arrays: Sequence[NDArray[np.generic]], info: TensorInfo, axis: int) -> NDArray[np.generic]:
    """Return the samples side by side along the batch axis."""
    return np.stack([_shaped(array, info) for array in arrays], axis=axis)


def _shared(arrays: Sequence[NDArray[np.generic]], info: TensorInfo) -> NDArray[np.generic]:
    """Return the value that all samples share, for an input without a batch axis."""
    first = np.asarray(arrays[0])
    if any(other is not arrays[0] and not np.array_equal(other, first) for other in arrays[1:]):
        problem = (
            f"input {info.name} has no batch axis (its shape is {shape_text(info.shape)}), and samples differ in it"
        )
        remedy = "set spec.benchmark.batchSize to 1, give one value for all samples, or export it with a batch axis"
        raise bad_data(SOURCE, info.name, problem, remedy)
    return _shaped(first, info)


def _padded(array: NDArray[np.generic], length: int, value: int, *, left: bool) -> NDArray[np.generic]:
    """Return a sequence of exactly `length`, cut at its end, and padded there or in front."""
    missing = max(0, length - len(array))
    sides = (missing, 0) if left else (0, missing)
    return np.pad(array[:length], [sides] + [(0, 0)] * (array.ndim - 1), constant_values=value)


def _shaped(array: NDArray[np.generic], info: TensorInfo) -> NDArray[np.generic]:
    """Return one sample in the shape of the input; a missing dimension of size 1 is added.

    Raises InvalidInput for a sample of another shape.
    """
    shape, expected = array.shape, info.sample_shape
    if len(shape) == len(expected) and all(want in (None, have) for have, want in zip(shape, expected, strict=True)):
        return array
    if not shape and all(size == 1 for size in expected):
        return np.reshape(array, (1,) * len(expected))
    if info.axis is None and expected[:1] == (1,) and len(shape) == len(expected) - 1:
        return _shaped(array[np.newaxis], info)
    problem = f"a sample of input {info.name} has shape {shape_text(shape)} in the data; {_takes(info)}"
    remedy = "give an array whose first dimension counts the samples, and whose others are those of one sample"
    raise bad_data(SOURCE, info.name, problem, remedy)


def _takes(info: TensorInfo) -> str:
    if info.axis is None:
        return f"the model takes {shape_text(info.shape)} for all samples of a batch"
    where = f"{shape_text(info.shape)} with the batch as dimension {info.axis}"
    return f"the model takes {shape_text(info.sample_shape)} ({where})"


def _cast(array: NDArray[np.generic], info: TensorInfo) -> NDArray[np.generic]:
    """Return the array in the type of the input; a cast may lose precision, but nothing else."""
    if array.dtype == info.dtype:
        return array
    same_kind = np.can_cast(array.dtype, info.dtype, casting="same_kind")
    if not same_kind and not (array.dtype.kind in "ui" and info.dtype.kind in "uif"):
        problem = f"input {info.name} has type {array.dtype} in the data, the model takes {info.dtype}"
        raise bad_data(SOURCE, info.name, problem, f"store the array as {info.dtype}")
    return array.astype(info.dtype)
