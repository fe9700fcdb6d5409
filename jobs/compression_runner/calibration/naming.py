"""Human-readable names of the weights of a graph."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import onnx

from compression_runner.formats.onnx_files import nodes

# Names that exporters give to weights that they have transposed.
ANONYMOUS: Final = re.compile(r"(val|onnx::MatMul)_\d+")


def weight_names(model: onnx.ModelProto, weights: Sequence[str]) -> dict[str, str]:
    """Return weight -> readable name: its own, or one derived from the next bias if an exporter has renamed it."""
    biases = _biases(model)
    names = {weight: biases.get(weight, weight) if ANONYMOUS.fullmatch(weight) else weight for weight in weights}
    counted = Counter(names.values())
    return {weight: name if counted[name] == 1 else weight for weight, name in names.items()}


def _biases(model: onnx.ModelProto) -> dict[str, str]:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    products = {node.output[0]: node.input[1] for node in nodes(model.graph) if node.op_type == "MatMul"}
    names: dict[str, str] = {}
    for node in nodes(model.graph):
        if node.op_type != "Add":
            continue
        for product, bias in (node.input[:2], reversed(node.input[:2])):
            if product in products and bias in constants and len(constants[bias].dims) == 1:
                names[products[product]] = re.sub(r"bias$", "weight", bias)
    return names
