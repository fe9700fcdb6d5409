"""Putting factors in the place of weights in an ONNX graph."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compression_runner.calibration.layers import attribute, consumers
from compression_runner.methods.factorize.decomposition import Factor
from compression_runner.methods.factorize.graph_weights import GraphWeight


def rewrite(model: onnx.ModelProto, weights: Sequence[GraphWeight], factors: Mapping[str, tuple[Factor, ...]]) -> None:
    """Replaces the layers of every weight for which there are factors (by the target's name), in place."""
    names = {value for node in model.graph.node for value in (*node.input, *node.output)}
    replaced: dict[int, list[onnx.NodeProto]] = {}
    for weight in weights:
        if weight.target.name not in factors:
            continue
        found = factors[weight.target.name]
        tensors = _tensors(weight.initializer, found, names)
        model.graph.initializer.extend(tensors)
        for layer in weight.layers:
            parts = _Parts(model.graph.node[layer.index], layer.source, [tensor.name for tensor in tensors])
            replaced[layer.index] = parts.convolutions(found) if layer.operator == "Conv" else parts.products()
    kept: list[onnx.NodeProto] = []
    for index, node in enumerate(model.graph.node):
        kept += replaced.get(index, [node])
    del model.graph.node[:]
    model.graph.node.extend(kept)
    _forget_unread(model, weights, factors)


def _tensors(weight: str, factors: Sequence[Factor], names: set[str]) -> list[onnx.TensorProto]:
    found = []
    for place, factor in enumerate(factors):
        name = f"{weight}.factor{place}"
        while name in names:
            name += "_"
        names.add(name)
        found.append(numpy_helper.from_array(np.ascontiguousarray(factor.array), name))
    return found


class _Parts:
    """The nodes that do together what one did, its bias at the end and under the name of its output."""

    def __init__(self, node: onnx.NodeProto, source: str, factors: Sequence[str]) -> None:
        self._node = node
        inner = [f"{node.output[0]}.factor{place}" for place in range(len(factors) - 1)]
        biases = [[] for _ in inner] + [[name for name in node.input[2:] if name]]
        self._places = list(zip([source, *inner], factors, biases, [*inner, node.output[0]], strict=True))

    def products(self) -> list[onnx.NodeProto]:
        """A MatMul or Gemm for each factor; the first of a lookup is a lookup."""
        made = []
        for place, (value, factor, bias, output) in enumerate(self._places):
            operator = "MatMul" if self._node.op_type == "Gather" and place else self._node.op_type
            inputs = [factor, value] if operator == "Gather" else [value, factor, *bias]
            settings = {"beta": attribute(self._node, "beta", 1.0)} if bias and operator == "Gemm" else {}
            made.append(self._made(operator, inputs, output, place, settings))
        return made

    def convolutions(self, kernels: Sequence[Factor]) -> list[onnx.NodeProto]:
        """A Conv for each kernel."""
        made = []
        channels = 0
        for place, (kernel, (value, factor, bias, output)) in enumerate(zip(kernels, self._places, strict=True)):
            settings = self._along(kernel.axes, kernel.array.ndim - 2) if kernel.axes else {}
            groups = channels // kernel.array.shape[1] if place else 1
            if groups > 1:
                settings["group"] = groups
            made.append(self._made("Conv", [value, factor, *bias], output, place, settings))
            channels = kernel.array.shape[0]
        return made

    def _along(self, axes: Sequence[int], count: int) -> dict[str, Any]:
        """Strides, pads and dilations of the convolution in these axes, and none in the others."""
        settings: dict[str, Any] = {}
        for name, default in (("strides", 1), ("dilations", 1), ("pads", 0)):
            numbers = attribute(self._node, name, None)
            if numbers is not None:
                settings[name] = [
                    number if place % count in axes else default
                    for place, number in enumerate(cast("Sequence[int]", numbers))
                ]
        automatic = attribute(self._node, "auto_pad", b"NOTSET")
        if automatic not in (b"NOTSET", b""):
            settings["auto_pad"] = automatic
        return settings

    def _made(
        self, operator: str, inputs: Sequence[str], output: str, place: int, settings: Mapping[str, Any]
    ) -> onnx.NodeProto:
        node: onnx.NodeProto = helper.make_node(
            operator, inputs, [output], f"{self._node.name}.factor{place}", **settings
        )
        return node


def _forget_unread(
    model: onnx.ModelProto, weights: Sequence[GraphWeight], factors: Mapping[str, tuple[Factor, ...]]
) -> None:
    """Removes the weights that were replaced, transposes of them, and their names among the inputs (old graphs)."""
    gone = {weight.initializer for weight in weights if weight.target.name in factors}
    read = consumers(model)
    unread = {
        index
        for index, node in enumerate(model.graph.node)
        if node.op_type == "Transpose" and node.input[0] in gone and node.output[0] not in read
    }
    kept = [node for index, node in enumerate(model.graph.node) if index not in unread]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for values in (model.graph.initializer, model.graph.input, model.graph.value_info):
        for value in [value for value in values if value.name in gone]:
            values.remove(value)
