"""Give OpenVINO (2026.4) the tables of weight-only in the form that it supports.

It reads GatherBlockQuantized on constants only, and weight-only reshapes the codes of a tied table, which it stores
once, for the look-up. The IR stores equal bytes once too, so the copy of the codes takes no space in the result.
It also compiles no look-up whose zero points it slices, as it does for an odd number of 4-bit groups.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

from compression_runner.formats.onnx_files import save, set_nodes

LOOKUP: Final = "GatherBlockQuantized"


@contextmanager
def with_constant_tables(graph: Path) -> Iterator[Path]:
    """Yield a graph whose look-ups of quantized tables read constants: the same file, or a temporary one."""
    light = onnx.load(graph, load_external_data=False)
    if not _reshaped_tables(light):
        yield graph
        return
    model = onnx.load(graph)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    reshaped = _reshaped_tables(model)
    for node in reshaped:
        codes, shape = (numpy_helper.to_array(stored[name]) for name in node.input)
        rows = np.ascontiguousarray(codes.reshape(shape))
        model.graph.initializer.append(numpy_helper.from_array(rows, node.output[0]))
    replaced = {node.output[0] for node in reshaped}
    set_nodes(model.graph, [node for node in model.graph.node if not replaced & set(node.output)])
    with tempfile.TemporaryDirectory(prefix="tables-") as folder:
        yield save(model, Path(folder))


def fold_sliced_zeros(model: Any) -> None:
    """Replace slices of 4-bit constants in an OpenVINO model by smaller constants, in place."""
    for node in model.get_ordered_ops():
        stored = _sliced_constant(node)
        if stored is not None:
            smaller = _converted_part(node, stored)
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(smaller.output(0))


def _sliced_constant(node: Any) -> Any | None:
    """Return the 4-bit constant that a Slice reads behind a Convert; None for other nodes."""
    import openvino

    if node.get_type_name() != "Slice":
        return None
    convert = node.input_value(0).get_node()
    stored = convert.input_value(0).get_node() if convert.get_type_name() == "Convert" else convert
    short = stored.get_type_name() == "Constant" and stored.get_element_type() == openvino.Type.u4
    return stored if short else None


def _converted_part(node: Any, stored: Any) -> Any:
    """Return the result of a Slice of constants as a constant with a Convert."""
    import openvino
    from openvino import opset8

    start, stop, step, axes = (node.input_value(place).get_node().get_data() for place in range(1, 5))
    chosen = [slice(None)] * len(stored.shape)
    for axis, *bounds in zip(axes, start, stop, step, strict=True):
        chosen[int(axis)] = slice(*map(int, bounds))
    numbers = np.array(stored.get_vector()).reshape(tuple(stored.shape))[tuple(chosen)]
    smaller = openvino.op.Constant(openvino.Type.u4, openvino.Shape(numbers.shape), numbers.ravel().tolist())
    return opset8.convert(smaller, node.get_element_type().get_type_name())


def _reshaped_tables(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the Reshape nodes of constants that a look-up reads as its table."""
    tables = {node.input[0] for node in model.graph.node if node.op_type == LOOKUP}
    constants = {tensor.name for tensor in model.graph.initializer}
    return [
        node
        for node in model.graph.node
        if node.op_type == "Reshape" and node.output[0] in tables and constants.issuperset(node.input)
    ]
