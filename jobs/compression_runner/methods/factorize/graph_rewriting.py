"""Replace weights by factors in an ONNX graph."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compression_runner.calibration.layers import attribute, consumers
from compression_runner.methods.factorize.decomposition import Factor
from compression_runner.methods.factorize.graph_weights import GraphWeight


def rewrite(model: onnx.ModelProto, weights: Sequence[GraphWeight], factors: Mapping[str, tuple[Factor, ...]]) -> None:
    """Replace the layers of every weight that has factors (by the name of its target), in place."""
    names = {value for node in model.graph.node for value in (*node.input, *node.output)}
    replaced: dict[int, list[onnx.NodeProto]] = {}
    for weight in weights:
        if weight.target.name not in factors:
            continue
        parts = factors[weight.target.name]
        tensors = _tensors(weight.initializer, parts, names)
        model.graph.initializer.extend(tensors)
        for layer in weight.layers:
            nodes = _FactorNodes(model.graph.node[layer.index], layer.source, [tensor.name for tensor in tensors])
            replaced[layer.index] = nodes.convolutions(parts) if layer.operator == "Conv" else nodes.products()
    kept: list[onnx.NodeProto] = []
    for index, node in enumerate(model.graph.node):
        kept += replaced.get(index, [node])
    del model.graph.node[:]
    model.graph.node.extend(kept)
    _remove_replaced(model, weights, factors)


def _tensors(weight: str, factors: Sequence[Factor], names: set[str]) -> list[onnx.TensorProto]:
    tensors = []
    for position, factor in enumerate(factors):
        name = f"{weight}.factor{position}"
        while name in names:
            name += "_"
        names.add(name)
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(factor.array), name))
    return tensors


class _FactorNodes:
    """The nodes that replace one layer, with its bias in the last node, and its output name."""

    def __init__(self, node: onnx.NodeProto, source: str, factors: Sequence[str]) -> None:
        self._node = node
        inner = [f"{node.output[0]}.factor{position}" for position in range(len(factors) - 1)]
        biases = [[] for _ in inner] + [[name for name in node.input[2:] if name]]
        self._places = list(zip([source, *inner], factors, biases, [*inner, node.output[0]], strict=True))

    def products(self) -> list[onnx.NodeProto]:
        """Return a MatMul or Gemm for each factor; the first factor of a lookup is a Gather."""
        nodes = []
        for position, (value, factor, bias, output) in enumerate(self._places):
            operator = "MatMul" if self._node.op_type == "Gather" and position else self._node.op_type
            inputs = [factor, value] if operator == "Gather" else [value, factor, *bias]
            settings = {"beta": attribute(self._node, "beta", 1.0)} if bias and operator == "Gemm" else {}
            nodes.append(self._node_of(operator, inputs, output, position, settings))
        return nodes

    def convolutions(self, kernels: Sequence[Factor]) -> list[onnx.NodeProto]:
        """Return a Conv for each kernel."""
        nodes = []
        channels = 0
        for position, (kernel, (value, factor, bias, output)) in enumerate(zip(kernels, self._places, strict=True)):
            settings = self._along(kernel.axes, kernel.array.ndim - 2) if kernel.axes else {}
            groups = channels // kernel.array.shape[1] if position else 1
            if groups > 1:
                settings["group"] = groups
            nodes.append(self._node_of("Conv", [value, factor, *bias], output, position, settings))
            channels = kernel.array.shape[0]
        return nodes

    def _along(self, axes: Sequence[int], count: int) -> dict[str, Any]:
        """Return the strides, pads and dilations of the convolution in these axes, and defaults in the others."""
        settings: dict[str, Any] = {}
        for name, default in (("strides", 1), ("dilations", 1), ("pads", 0)):
            numbers = attribute(self._node, name, None)
            if numbers is not None:
                settings[name] = [
                    number if position % count in axes else default
                    for position, number in enumerate(cast("Sequence[int]", numbers))
                ]
        automatic = attribute(self._node, "auto_pad", b"NOTSET")
        if automatic not in (b"NOTSET", b""):
            settings["auto_pad"] = automatic
        return settings

    def _node_of(
        self, operator: str, inputs: Sequence[str], output: str, position: int, settings: Mapping[str, Any]
    ) -> onnx.NodeProto:
        node: onnx.NodeProto = helper.make_node(
            operator, inputs, [output], f"{self._node.name}.factor{position}", **settings
        )
        return node


def _remove_replaced(
    model: onnx.ModelProto, weights: Sequence[GraphWeight], factors: Mapping[str, tuple[Factor, ...]]
) -> None:
    """Remove the replaced weights, their transposes, and their names among the inputs (old graphs)."""
    replaced_names = {weight.initializer for weight in weights if weight.target.name in factors}
    read = consumers(model)
    unread = {
        index
        for index, node in enumerate(model.graph.node)
        if node.op_type == "Transpose" and node.input[0] in replaced_names and node.output[0] not in read
    }
    kept = [node for index, node in enumerate(model.graph.node) if index not in unread]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for values in (model.graph.initializer, model.graph.input, model.graph.value_info):
        for value in [value for value in values if value.name in replaced_names]:
            values.remove(value)
