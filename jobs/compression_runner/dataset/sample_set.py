"""Evaluation samples as a model takes them, and batches of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.cache_inputs import empty_past, is_past
from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.texts import Texts
from compression_runner.dataset.writing import Writing
from compression_runner.inference.batch_axis import fixed_at_one, fixed_batch
from compression_runner.inference.predictor import TensorInfo

Sample = Mapping[str, NDArray[np.generic]]
"""Input name -> array of one sample, without the batch dimension; what all samples share is in each of them."""


@dataclass(frozen=True)
class SampleSet:
    """Samples of one data file, or of a folder.

    `padding` names the inputs whose first dimension is a sequence of free length (tokens), with the value that fills
    them up, at the end or, with `left`, in front; `free` those that differ in length without being tokens (recordings),
    which are filled up with zeros.
    `labels` has shape (samples,): numbers of classes (int64), or those that a regression predicts (float32); of a
    `multi_label` model it has shape (samples, labels), a 0 or a 1 for each. Where
    `unnamed`, samples have one input, and a model with one input takes it whatever its name is. `references` are the
    texts that a model should write, and `writing` says how it writes. Of evaluation data, `groups` are the names of the
    samples' groups, and `texts` what samples of tokens were made of. `features` are the names of a table's columns.
    `axes` are the batch axes of inputs that were found by running the model, and `single` says that it was found to
    take one sample at a time. `digest` is the SHA-256 of the data.
    """

    samples: Sequence[Sample]
    digest: str
    labels: NDArray[Any] | None = None
    padding: Mapping[str, int] = field(default_factory=dict)
    left: bool = False
    free: frozenset[str] = frozenset()
    unnamed: bool = False
    references: Sequence[str] | None = None
    writing: Writing | None = None
    groups: Sequence[str] | None = None
    texts: Texts | None = None
    features: Sequence[str] = ()
    axes: Mapping[str, int | None] = field(default_factory=dict)
    single: bool = False
    multi_label: MultiLabel | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def only(self, rows: Sequence[int]) -> "SampleSet":
        """Return the set with these samples alone, in this order."""
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
        """Whether the data has what the model should answer."""
        return self.labels is not None or self.references is not None

    def length(self, index: int) -> int:
        """Return the sequence length of a sample; 0 where no input is a sequence."""
        return max((len(self.samples[index][name]) for name in (*self.padding, *self.free)), default=0)

    @cached_property
    def _longest(self) -> int:
        return max(map(self.length, range(len(self))), default=0)

    def batch(
        self, indices: Sequence[int], inputs: Sequence[TensorInfo], sequence_length: int | None = None
    ) -> dict[str, NDArray[np.generic]]:
        """Return the model's inputs for these samples, stacked.

        Sequences are filled up to `sequence_length`, or else to the longest among them, or to the length that the
        model fixes; recordings, where a length is asked for, to the longest of all. Raises InvalidInput for an input
        that the data does not have, or has in another shape.
        """
        if self.unnamed and len(inputs) > 1:
            there, wanted = next(iter(self.samples[0])), ", ".join(info.name for info in inputs)
            problem = f"the model has the inputs {wanted}; the data gives one: {there}"
            raise bad_data(SOURCE, wanted, problem, "give an .npz whose arrays bear the names of the model's inputs")
        return {info.name: self._stacked(indices, info, sequence_length) for info in self.located(inputs)}

    def batches(self, inputs: Sequence[TensorInfo], size: int) -> Iterator[list[int]]:
        """Yield indices in batches; sequences of like length together, so that little is filled up.

        A model with a fixed batch gets it; its last batch is filled up by repeating the last sample. Samples that
        differ in an input without a batch axis come one at a time.
        """
        inputs = self.located(inputs)
        fixed = fixed_batch(inputs) or (1 if self.differs(inputs) else None)
        order = sorted(range(len(self)), key=self.length) if self.padding or self.free else list(range(len(self)))
        step = fixed or size
        for start in range(0, len(order), step):
            part = order[start : start + step]
            yield part + part[-1:] * (step - len(part) if fixed else 0)

    def located(self, inputs: Sequence[TensorInfo]) -> tuple[TensorInfo, ...]:
        """Return a model's inputs with the batch axes that were found."""
        found = tuple(replace(info, axis=self.axes.get(info.name, info.axis)) for info in inputs)
        return tuple(map(fixed_at_one, found)) if self.single else found

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
            return empty_past(info, len(indices))  # samples are whole texts: nothing came before
        first = self.samples[indices[0]]
        name = next(iter(first)) if self.unnamed else info.name
        if name not in first:
            there = ", ".join(first)
            problem = f"the model needs this input; the data gives: {there}"
            raise bad_data(SOURCE, info.name, problem, "give data that has it (for task onnx an array of that name)")
        arrays = [self.samples[index][name] for index in indices]
        if name in self.padding or name in self.free:
            fixed = info.sample_shape[0] if info.sample_shape else None
            asked = self._longest if sequence_length and name in self.free else sequence_length
            length = fixed or asked or max(len(array) for array in arrays)
            arrays = [_filled(array, length, self.padding.get(name, 0), left=self.left) for array in arrays]
        return _cast(_of_all(arrays, info) if info.axis is None else _along(arrays, info, info.axis), info)


def _along(arrays: Sequence[NDArray[np.generic]], info: TensorInfo, axis: int) -> NDArray[np.generic]:
    """Return the samples side by side along the batch axis."""
    return np.stack([_shaped(array, info) for array in arrays], axis=axis)


def _of_all(arrays: Sequence[NDArray[np.generic]], info: TensorInfo) -> NDArray[np.generic]:
    """Return what all samples share, for an input without a batch axis."""
    first = np.asarray(arrays[0])
    if any(other is not arrays[0] and not np.array_equal(other, first) for other in arrays[1:]):
        problem = f"input {info.name} has no batch axis (its shape is {_written(info.shape)}), and samples differ in it"
        remedy = "set spec.benchmark.batchSize to 1, give one value for all samples, or export it with a batch axis"
        raise bad_data(SOURCE, info.name, problem, remedy)
    return _shaped(first, info)


def _filled(array: NDArray[np.generic], length: int, value: int, *, left: bool) -> NDArray[np.generic]:
    """Return a sequence of exactly `length`, cut at its end, and filled up there or in front."""
    missing = max(0, length - len(array))
    sides = (missing, 0) if left else (0, missing)
    return np.pad(array[:length], [sides] + [(0, 0)] * (array.ndim - 1), constant_values=value)


def _shaped(array: NDArray[np.generic], info: TensorInfo) -> NDArray[np.generic]:
    """Return one sample as the model takes it; one of its dimensions may be missing where it is 1.

    Raises InvalidInput for a sample of another shape.
    """
    shape, wanted = array.shape, info.sample_shape
    if len(shape) == len(wanted) and all(want in (None, have) for have, want in zip(shape, wanted, strict=True)):
        return array
    if not shape and all(size == 1 for size in wanted):
        return np.reshape(array, (1,) * len(wanted))
    if info.axis is None and wanted[:1] == (1,) and len(shape) == len(wanted) - 1:
        return _shaped(array[np.newaxis], info)
    problem = f"a sample of input {info.name} has shape {_written(shape)} in the data; {_takes(info)}"
    remedy = "give an array whose first dimension counts the samples, and whose others are those of one sample"
    raise bad_data(SOURCE, info.name, problem, remedy)


def _takes(info: TensorInfo) -> str:
    if info.axis is None:
        return f"the model takes {_written(info.shape)} for all samples of a batch"
    where = f"{_written(info.shape)} with the batch as dimension {info.axis}"
    return f"the model takes {_written(info.sample_shape)} ({where})"


def _written(shape: Sequence[int | None]) -> str:
    return str(tuple("any" if size is None else size for size in shape)).replace("'", "")


def _cast(array: NDArray[np.generic], info: TensorInfo) -> NDArray[np.generic]:
    """Return the array in the model's type where nothing but precision can be lost by that."""
    if array.dtype == info.dtype:
        return array
    same_kind = np.can_cast(array.dtype, info.dtype, casting="same_kind")
    if not same_kind and not (array.dtype.kind in "ui" and info.dtype.kind in "uif"):
        problem = f"input {info.name} has type {array.dtype} in the data, the model takes {info.dtype}"
        raise bad_data(SOURCE, info.name, problem, f"store the array as {info.dtype}")
    return array.astype(info.dtype)
