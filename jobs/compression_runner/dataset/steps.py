"""Run sequences of steps through models that carry a state, and record single steps for the stages."""

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.sample_set import Sample, SampleSet
from compression_runner.inference.batch_axis import fixed_batch
from compression_runner.inference.predictor import Predictor, TensorInfo
from compression_runner.inference.stepping import Stepping, stepped_inputs

MOST_STEPS: Final = 1024
"""Maximum number of steps for the stages, evenly spaced over all sequences."""


def stepwise(predictor: Predictor, data: SampleSet) -> Predictor:
    """Return a predictor for whole sequences if the data has a state, else the predictor itself.

    Raises InvalidInput for a state that the model does not have, and for samples that are not sequences of one length.
    """
    if not data.state:
        return predictor
    names = stepped_inputs(predictor.inputs, data.state)
    sample = data.samples[0]
    stepped = [info for info in predictor.inputs if info.name in names and info.name in sample]
    lengths = {info.name: _length(sample[info.name], info) for info in stepped}
    if len(set(lengths.values())) != 1:
        problem = f"the sequences differ in their number of steps: {lengths}"
        given = ", ".join(lengths) or ", ".join(sample)
        raise bad_data(SOURCE, given, problem, "give each sample the same number of steps in all inputs")
    return Stepping(predictor, data.state, next(iter(lengths.values())))


def single_steps(predictor: Stepping, data: SampleSet, most: int = MOST_STEPS) -> SampleSet:
    """Return up to `most` steps of the sequences, each with the model's state before the step."""
    inputs = data.located(predictor.inputs)
    axes = {info.name: _axis_of_step(info, predictor) for info in inputs}
    size = fixed_batch(inputs) or 1
    every = max(1, math.ceil(len(data) * next(len(data.samples[0][name]) for name in predictor.stepped) / most))
    steps: list[Sample] = []
    count = 0
    for index in range(len(data)):
        for feed, _ in predictor.each_step(data.batch([index] * size, predictor.inputs)):
            if count % every == 0:
                steps.append({name: _first(array, axes[name]) for name, array in feed.items()})
            count += 1
    return replace(data, samples=steps, axes=axes, state={}, labels=None, groups=None)


def _length(sequence: NDArray[np.generic], info: TensorInfo) -> int:
    if sequence.ndim != len(info.shape) or not len(sequence):
        shape = ", ".join("any" if size is None else str(size) for size in info.sample_shape)
        problem = f"with spec.model.state a sample is a sequence of steps, and its shape is {sequence.shape}"
        raise bad_data(SOURCE, info.name, problem, f"give an array of shape (samples, steps, {shape})")
    return len(sequence)


def _axis_of_step(info: TensorInfo, predictor: Stepping) -> int | None:
    return info.axis - 1 if info.axis is not None and info.name in predictor.stepped else info.axis


def _first(array: NDArray[np.generic], axis: int | None) -> NDArray[np.generic]:
    return array if axis is None else np.take(array, 0, axis)
