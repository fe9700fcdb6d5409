"""Run a model with a recurrent state on whole sequences of steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.errors import InvalidInput
from compression_runner.inference.batch_axis import locate_batch
from compression_runner.inference.placement import Placement
from compression_runner.inference.predictor import Feed, Predictor, TensorInfo, shape_text
from compressionjob.conditions import INVALID_INPUT

State = Mapping[str, str]
"""Input of the state -> output with the state for the next step."""
STATE: Final = "spec.model.state"


class Stepping(Predictor):
    """Runs a predictor of single steps on sequences, whose steps are the first dimension of each tensor.

    A sequence has one value of state inputs and of inputs without a batch axis. State outputs are left out, unless the
    model has no other outputs. `steps` is the length of every sequence.
    """

    def __init__(self, step: Predictor, state: State, steps: int) -> None:
        """Raise InvalidInput if the model does not have the inputs and outputs of `state`."""
        check_state(state, step.inputs, step.outputs)
        self._step, self._state = step, state
        self.stepped = stepped_inputs(step.inputs, state)
        answers = [info for info in step.outputs if info.name not in state.values()] or list(step.outputs)
        self.inputs = tuple(_of_steps(info, steps) if info.name in self.stepped else info for info in step.inputs)
        self.outputs = tuple(_of_steps(info, steps) for info in answers)

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) of a batch of sequences, their steps first.

        Raises InvalidInput if the graph does not run on `feed`.
        """
        names = outputs or [info.name for info in self.outputs]
        wanted = [*names, *(name for name in self._state.values() if name not in names)]
        each = [answers for _, answers in self.each_step(feed, wanted)]
        return [np.stack([answers[place] for answers in each]) for place in range(len(names))]

    def each_step(
        self, feed: Feed, wanted: Sequence[str] | None = None
    ) -> Iterator[tuple[Feed, list[NDArray[np.generic]]]]:
        """Yield the inputs of each step of a batch of sequences, including the state, and its outputs."""
        names = [*(wanted or self._state.values())]
        state = {name: feed[name] for name in self._state}
        for step in range(min(len(feed[name]) for name in self.stepped)):
            inputs = {**self._inputs(feed, step), **state}
            answers = self._step.run(inputs, names)
            yield inputs, answers
            state = {
                name: _next(name, state[name], answers[names.index(output)], output)
                for name, output in self._state.items()
            }

    def placement(self, feed: Feed) -> Placement | None:
        """Return where each node ran in one step."""
        return self._step.placement(feed)

    def one_run(self, feed: Feed) -> Feed:
        """Return the inputs of the first step."""
        return self._inputs(feed, 0)

    def _inputs(self, feed: Feed, step: int) -> Feed:
        """Return the inputs of a step, with the state before the first one."""
        return {name: array[step] if name in self.stepped else array for name, array in feed.items()}

    def close(self) -> None:
        """Free the model."""
        self._step.close()


def stepped_inputs(inputs: Sequence[TensorInfo], state: State) -> frozenset[str]:
    """Return the inputs with a value for each step: those with a batch axis, except state inputs."""
    located, _ = locate_batch(inputs)
    return frozenset(info.name for info in located if info.axis is not None and info.shape and info.name not in state)


def check_state(state: State, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> None:
    """Raise InvalidInput, naming the tensor, if the graph does not have the inputs and outputs of a state."""
    for index, (name, output) in enumerate(state.items()):
        _require(name, inputs, f"{STATE}[{index}].input", "input")
        _require(output, outputs, f"{STATE}[{index}].output", "output")
    if not stepped_inputs(inputs, state):
        names = ", ".join(info.name for info in inputs)
        problem = f"no input with a batch axis is left that differs from step to step ({names})"
        raise InvalidInput(INVALID_INPUT, STATE, ", ".join(state), problem, "name the inputs that take a state only")


def initial_state(info: TensorInfo, batch: int) -> NDArray[np.generic]:
    """Return zeros for a state input. Raises InvalidInput if the graph leaves its size open."""
    shape = [batch if place == info.axis else size for place, size in enumerate(info.shape)]
    if None in shape:
        problem = f"the size of the state is open: the model takes {shape_text(info.shape)}"
        raise InvalidInput(INVALID_INPUT, STATE, info.name, problem, f"add an array {info.name} with the first state")
    return np.zeros([size for size in shape if size is not None], info.dtype)


def _require(name: str, tensors: Sequence[TensorInfo], field: str, kind: str) -> None:
    names = [info.name for info in tensors]
    if name not in names:
        remedy = f"name one of its {kind}s: {', '.join(names)}"
        raise InvalidInput(INVALID_INPUT, field, name, f"the model has no {kind} of this name", remedy)


def _next(name: str, before: NDArray[np.generic], after: NDArray[np.generic], output: str) -> NDArray[np.generic]:
    if before.shape != after.shape or before.dtype != after.dtype:
        given, taken = f"{after.dtype} {after.shape}", f"{before.dtype} {before.shape}"
        problem = f"output {output} is {given}, and input {name}, which takes it in the next step, is {taken}"
        raise InvalidInput(INVALID_INPUT, STATE, name, problem, "name the output that gives the next state")
    return after


def _of_steps(info: TensorInfo, steps: int) -> TensorInfo:
    axis = None if info.axis is None else info.axis + 1
    symbols = ("", *info.symbols) if info.symbols else ()
    return replace(info, shape=(steps, *info.shape), axis=axis, symbols=symbols)
