"""The state that a model carries from step to step, where its samples are sequences."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue

from compressionjob.errors import FieldProblem
from compressionjob.field_types import Schema, cel, without_default
from compressionjob.tasks import Task

TensorName = Annotated[str, Field(min_length=1, max_length=256)]
NO_SEQUENCES: Final = "only task onnx takes sequences of steps; remove it"
TWICE: Final = "each input and each output can be named once"


class StateTensor(Schema):
    """An input of an ONNX model that takes a state, and the output that gives it for the next step."""

    input: TensorName = Field(
        description="Input that takes the state. It starts as zeros unless the data has an array of its name."
    )
    output: TensorName = Field(description="Output that gives the state for the next step.")


STATE_RULES: Final[list[JsonValue]] = [
    cel(
        "self.all(s, self.exists_one(t, t.input == s.input) && self.exists_one(t, t.output == s.output))",
        TWICE,
    )
]
"""Rules about the list of states."""
MODEL_RULES: Final[list[JsonValue]] = [
    cel("!has(self.state) || self.state.size() == 0 || self.task == 'onnx'", NO_SEQUENCES, fieldPath=".state")
]
"""Rules about the model as a whole."""


def added_with(rules: list[JsonValue]) -> Callable[[dict[str, Any]], None]:
    """Return `without_default` for a field that has CEL rules of its own."""

    def change(schema: dict[str, Any]) -> None:
        without_default(schema)
        schema["x-kubernetes-validations"] = rules

    return change


def state_problems(state: Sequence[StateTensor], task: Task) -> Iterator[FieldProblem]:
    """Yield what is wrong with the states of a model: another task than onnx, and tensors that are named twice."""
    if state and task != "onnx":
        yield FieldProblem("spec.model.state", ", ".join(tensor.input for tensor in state), NO_SEQUENCES)
    names = Counter([*(("input", tensor.input) for tensor in state), *(("output", tensor.output) for tensor in state)])
    for (_, name), count in names.items():
        if count > 1:
            yield FieldProblem("spec.model.state", name, TWICE)
