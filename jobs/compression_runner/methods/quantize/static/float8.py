"""FP8 in the graph: E4M3FN around products with constant weights, scaled without clipping.

E4M3FN has a sign, four bits of exponent and three of mantissa, and a maximum of 448 (Micikevicius et al. 2022,
arXiv:2209.05433). The operations have no zero point, which opset 21 allows: before a zero point of another type than
INT8, onnxruntime (1.32) removes a ReLU as if the smallest code were zero.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.calibration.layers import attribute, consumers
from compression_runner.formats.onnx_files import set_nodes
from compression_runner.methods.quantize.static.ranges import Range

MAX_E4M3: Final = np.float32(448)
KIND: Final = TensorProto.FLOAT8E4M3FN
OPSET: Final = 21
TINY: Final = np.float32(1e-12)


def encode(weights: NDArray[np.float32], axis: int | None) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return weights in E4M3FN with a scale for each index of `axis`, shape (channels,), or a single one, shape ()."""
    others = tuple(index for index in range(weights.ndim) if index != axis) if axis is not None else None
    greatest = np.abs(weights).max(axis=others, keepdims=axis is not None)
    scale = np.where(greatest > TINY, greatest / MAX_E4M3, np.float32(1)).astype(np.float32)
    codes = np.clip(weights / scale, -MAX_E4M3, MAX_E4M3).astype(helper.tensor_dtype_to_np_dtype(KIND))
    return codes, scale.reshape(-1) if axis is not None else scale


def quantize_nodes(
    model: onnx.ModelProto, nodes: Collection[str], ranges: Mapping[str, Range], *, per_channel: bool
) -> onnx.ModelProto:
    """Quantize inputs and weights of these nodes to E4M3FN; other nodes that read them keep the floats.

    The opset of the graph must have the type.
    """
    builder = _QuantizeNodeBuilder(model, ranges, per_channel)
    written: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.name in nodes:
            written.extend(builder.inputs_of(node))
        written.append(node)
    set_nodes(model.graph, written)
    model.graph.initializer.extend(builder.constants.values())
    read = consumers(model)
    unused = builder.replaced - read.keys()
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name in unused]:
        model.graph.initializer.remove(tensor)
    return model


class _QuantizeNodeBuilder:
    """Creates the nodes that quantize inputs; once for inputs that several nodes share."""

    def __init__(self, model: onnx.ModelProto, ranges: Mapping[str, Range], per_channel: bool) -> None:
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._ranges = ranges
        self._per_channel = per_channel
        self._done: dict[str, str] = {}
        self.constants: dict[str, onnx.TensorProto] = {}
        self.replaced: set[str] = set()

    def inputs_of(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Yield the nodes to insert before a node, and let it read their results."""
        source, weight = node.input[0], node.input[1]
        if source in self._ranges:
            yield from self._activation(source)
            node.input[0] = self._done[source]
        yield from self._weight(weight, _output_axis(node, len(self._tensors[weight].dims)))
        node.input[1] = self._done[weight]

    def _activation(self, name: str) -> Iterator[onnx.NodeProto]:
        if name in self._done:
            return
        range_ = self._ranges[name]
        scale = np.maximum(np.float32(max(abs(range_.low), abs(range_.high))), TINY) / MAX_E4M3
        codes, result = f"{name}.float8", f"{name}.rounded"
        factor = self._add(f"{name}.scale", np.array(scale, np.float32))
        yield helper.make_node("QuantizeLinear", [name, factor], [codes], name=codes, output_dtype=KIND)
        yield helper.make_node("DequantizeLinear", [codes, factor], [result], name=result)
        self._done[name] = result

    def _weight(self, name: str, axis: int) -> Iterator[onnx.NodeProto]:
        if name in self._done:
            return
        chosen = axis if self._per_channel else None
        codes, scale = encode(numpy_helper.to_array(self._tensors[name]), chosen)
        self.replaced.add(name)
        result = f"{name}.rounded"
        inputs = [self._add(f"{name}.float8", codes), self._add(f"{name}.scale", scale)]
        yield helper.make_node("DequantizeLinear", inputs, [result], name=result, axis=axis)
        self._done[name] = result

    def _add(self, name: str, array: NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return name


def _output_axis(node: onnx.NodeProto, dimensions: int) -> int:
    """Return the axis of the outputs in the weight of a node."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    return 0 if node.op_type == "Gemm" and attribute(node, "transB", 0) else dimensions - 1
