"""The unit and the bounds of changes to a model's numeric input."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.request import only_input
from compression_runner.inference.similarity import Floats
from compressionjob.tasks import Content

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """The only numeric input of a model.

    `unit`, `low`, `high` and `middle` broadcast to one sample: the size of a change of 1, the bounds of perturbed
    inputs, and the mean. They come from the evaluation data, so the preprocessing need not be known.
    """

    name: str
    unit: Doubles
    low: Doubles
    high: Doubles
    middle: Doubles
    unit_name: str

    def kept(self, values: Doubles) -> Floats:
        """Return an input clipped to the bounds."""
        return np.clip(values, self.low, self.high).astype(np.float32)


def space_of(data: SampleSet, content: Content) -> Space:
    """Return the space of the evaluation data.

    The unit is the range of the channel for images and videos, the standard deviation of the column for tables, and
    the standard deviation of all samples for recordings. Raises InvalidInput for data with several inputs, or with
    inputs that are not numeric.
    """
    name = only_input(data)
    arrays = [sample[name] for sample in data.samples]
    axis = _kept_axis(arrays[0].shape, content)
    low, high = _over(arrays, axis, np.minimum), _over(arrays, axis, np.maximum)
    middle = _mean(arrays, axis)
    if content in ("image", "video"):
        return Space(name, high - low, low, high, middle, "of the channel's range")
    deviation = np.sqrt(_mean([(array.astype(np.float64) - middle) ** 2 for array in arrays], axis))
    return Space(name, deviation, low, high, middle, "standard deviations")


def with_inputs(data: SampleSet, space: Space, arrays: Sequence[NDArray[np.generic]]) -> SampleSet:
    """Return the samples with other inputs."""
    return replace(data, samples=[{space.name: array} for array in arrays])


def inputs_of(data: SampleSet, space: Space) -> list[Floats]:
    """Return the input of every sample."""
    return [np.asarray(sample[space.name], dtype=np.float32) for sample in data.samples]


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of an image's channels; None if it has none."""
    if len(shape) < 3:
        return None
    few = (1, 3, 4)
    return 2 if shape[0] not in few and shape[2] in few else 0


def _kept_axis(shape: tuple[int, ...], content: Content) -> int | None:
    """Return the axis whose entries have statistics of their own."""
    if content == "features":
        return 0
    if content == "video":
        return 1
    return channel_axis(shape) if content == "image" else None


def _over(arrays: Sequence[NDArray[np.generic]], axis: int | None, extreme: np.ufunc) -> Doubles:
    """Return the minimum or maximum (`extreme`), for each entry of the axis."""
    each = [extreme.reduce(array, axis=_others(array, axis), keepdims=True) for array in arrays]
    return np.asarray(extreme.reduce(np.stack(each), axis=0), dtype=np.float64)


def _mean(arrays: Sequence[NDArray[np.generic]], axis: int | None) -> Doubles:
    sums = np.sum([array.sum(axis=_others(array, axis), keepdims=True, dtype=np.float64) for array in arrays], axis=0)
    count = sum(array.size for array in arrays) / sums.size
    return np.asarray(sums / count, dtype=np.float64)


def _others(array: NDArray[np.generic], axis: int | None) -> tuple[int, ...]:
    return tuple(other for other in range(array.ndim) if other != axis)
