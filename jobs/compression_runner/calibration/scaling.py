"""Divide the input of layers by a scale per channel, fused into the node that produces the input if possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compression_runner.calibration.layers import LayerGroup, consumers, tensor_of

PARAMETERS: Final = {
    "Mul": (0, 1),
    "LayerNormalization": (1, 2),
    "SimplifiedLayerNormalization": (1,),
    "RMSNormalization": (1,),
}
"""Operators that scale each channel -> indices of their inputs for the factor and the bias."""


@dataclass(frozen=True)
class Division:
    """A product with `factor` (an initializer), to insert before the first of `layers`; all of them read it."""

    source: str
    factor: str
    result: str
    layers: tuple[int, ...]

    @property
    def node(self) -> onnx.NodeProto:
        """The ONNX node of this product."""
        node: onnx.NodeProto = helper.make_node("Mul", [self.source, self.factor], [self.result], name=self.result)
        return node


def divide_inputs(
    model: onnx.ModelProto, scaled: Sequence[tuple[LayerGroup, NDArray[np.float32]]], prefix: str = "awq"
) -> list[Division]:
    """Divide the input of each group by its scale (inputs,); return the divisions that need a node of their own.

    A Mul or a normalization that produces the input absorbs the scale if no other node reads its result.
    """
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    producers = {name: node for node in model.graph.node for name in node.output}
    divisions = []
    for number, (group, scale) in enumerate(scaled):
        layer_indices = tuple(layer.index for layer in group.layers)
        only_layers = sorted(readers[group.source]) == sorted(layer_indices) and group.source not in outputs
        if (
            only_layers
            and group.source in producers
            and _fold(model, producers[group.source], scale, f"{prefix}.{number}")
        ):
            continue
        factor = f"{prefix}.{number}.factor"
        _add(model, 1 / scale, factor, like=group.layers[0].weight)
        divisions.append(Division(group.source, factor, f"{prefix}.{number}.scaled", layer_indices))
    return divisions


def _fold(model: onnx.ModelProto, producer: onnx.NodeProto, scale: NDArray[np.float32], prefix: str) -> bool:
    """Divide the constant factor and bias of a node by the scale; return False if it has none of that size."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    input_indices = [
        input_index
        for input_index in PARAMETERS.get(producer.op_type, ())
        if input_index < len(producer.input) and producer.input[input_index]
    ]
    known = [input_index for input_index in input_indices if producer.input[input_index] in constants]
    arrays = {input_index: numpy_helper.to_array(constants[producer.input[input_index]]) for input_index in known}
    fits = all(array.size == scale.size == array.shape[-1] for array in arrays.values() if array.ndim)
    enough = len(known) == 1 if producer.op_type == "Mul" else len(known) == len(input_indices) > 0
    if not enough or not fits or not all(array.ndim for array in arrays.values()):
        return False
    for input_index, array in arrays.items():
        name = f"{prefix}.{input_index}"
        _add(model, array / scale, name, like=producer.input[input_index])
        producer.input[input_index] = name
    return True


def _add(model: onnx.ModelProto, array: NDArray[np.floating], name: str, like: str) -> None:
    """Add an initializer with the type of the initializer `like`."""
    kind = helper.tensor_dtype_to_np_dtype(tensor_of(model, like).data_type)
    model.graph.initializer.append(numpy_helper.from_array(array.astype(kind), name))
