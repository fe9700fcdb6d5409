"""The line in conditions and reports for an exception of a library."""

import numpy as np
import openvino
import pytest
from openvino import opset13

from compression_runner.errors import cause


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n  the shapes differ\nand more"), "the shapes differ"),
        (KeyError("bert.pooler"), "KeyError 'bert.pooler'"),
        (RuntimeError(""), "RuntimeError"),
        (RuntimeError("Exception from src/core/src/node.cpp:84:\nno such operator"), "no such operator"),
        (RuntimeError("Exception from src/core/src/node.cpp:84:\n"), "Exception from src/core/src/node.cpp:84:"),
        (RuntimeError("x" * 400), f"{'x' * 297}..."),
    ],
)
def test_a_cause_is_the_first_meaningful_line(error: Exception, line: str) -> None:
    assert cause(error) == line


def test_a_cause_is_the_first_error_of_a_chain() -> None:
    error = RuntimeError("the step failed")
    error.__cause__ = ValueError("no room")
    assert cause(error) == "no room"


def test_openvinos_code_locations_are_not_a_cause() -> None:
    model = openvino.Model([opset13.relu(given := opset13.parameter([2, 3], np.float32))], [given])
    compiled = openvino.Core().compile_model(model, "CPU")
    with pytest.raises(RuntimeError, match="Exception from src") as caught:
        compiled([np.ones((4, 3), np.float32)])
    assert cause(caught.value).startswith("Can't set the input tensor with index: 0")
