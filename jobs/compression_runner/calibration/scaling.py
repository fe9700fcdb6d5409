"""Divides the input of layers by a scale for each channel: within what makes the input where that is possible."""

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
"""Operators that give channels a factor of their own, and the inputs where that, and a bias, may be constant."""


@dataclass(frozen=True)
class Division:
    """A product with `factor` (an initializer) that must stand before the first of `layers`, and feed all of them."""

    source: str
    factor: str
    result: str
    layers: tuple[int, ...]

    @property
    def node(self) -> onnx.NodeProto:
        """The operation."""
        node: onnx.NodeProto = helper.make_node("Mul", [self.source, self.factor], [self.result], name=self.result)
        return node


def divide_inputs(
    model: onnx.ModelProto, scaled: Sequence[tuple[LayerGroup, NDArray[np.float32]]], prefix: str = "awq"
) -> list[Division]:
    """Divides the input of each group by its scale (inputs,); gives the divisions that need an operation of their own.

    A factor or normalisation for each channel that makes the input takes the scale over, where the group alone reads
    its result.
    """
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    makers = {name: node for node in model.graph.node for name in node.output}
    divisions = []
    for number, (group, scale) in enumerate(scaled):
        places = tuple(layer.index for layer in group.layers)
        alone = sorted(readers[group.source]) == sorted(places) and group.source not in outputs
        if alone and group.source in makers and _fold(model, makers[group.source], scale, f"{prefix}.{number}"):
            continue
        factor = f"{prefix}.{number}.factor"
        _add(model, 1 / scale, factor, like=group.layers[0].weight)
        divisions.append(Division(group.source, factor, f"{prefix}.{number}.scaled", places))
    return divisions


def _fold(model: onnx.ModelProto, maker: onnx.NodeProto, scale: NDArray[np.float32], prefix: str) -> bool:
    """Divides a node's constant factor and bias by the scale; False where it has none of that size."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    places = [place for place in PARAMETERS.get(maker.op_type, ()) if place < len(maker.input) and maker.input[place]]
    known = [place for place in places if maker.input[place] in constants]
    arrays = {place: numpy_helper.to_array(constants[maker.input[place]]) for place in known}
    fits = all(array.size == scale.size == array.shape[-1] for array in arrays.values() if array.ndim)
    enough = len(known) == 1 if maker.op_type == "Mul" else len(known) == len(places) > 0
    if not enough or not fits or not all(array.ndim for array in arrays.values()):
        return False
    for place, array in arrays.items():
        name = f"{prefix}.{place}"
        _add(model, array / scale, name, like=maker.input[place])
        maker.input[place] = name
    return True


def _add(model: onnx.ModelProto, array: NDArray[np.floating], name: str, like: str) -> None:
    """Adds an initializer of the type that another has."""
    kind = helper.tensor_dtype_to_np_dtype(tensor_of(model, like).data_type)
    model.graph.initializer.append(numpy_helper.from_array(array.astype(kind), name))
