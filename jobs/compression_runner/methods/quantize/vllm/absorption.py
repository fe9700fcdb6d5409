"""Absorb AWQ's scales into the parameters before a layer, since a checkpoint has no place for another operation.

Two kinds of producers absorb the scale of a layer's inputs: a normalization, by its weight and bias; and a product of
two values of which one is the output of a quantized layer (a gated feed-forward block), by the scales of that layer's
rows. Both as in AWQ (Lin et al. 2023, arXiv:2306.00978).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.calibration.layers import GraphLayer, LayerGroup, consumers, tensor_of
from compression_runner.calibration.scaling import PARAMETERS
from compression_runner.formats.compressed_checkpoint import StoredLinear
from compression_runner.methods.quantize.weight_only.grid import Scales


class Absorption:
    """The producers of the inputs of layers in the plain graph of a model, whose parameters are `trained`."""

    def __init__(self, model: onnx.ModelProto, layers: Sequence[GraphLayer], trained: Collection[str]) -> None:
        self._model = model
        self._trained = trained
        self._readers = consumers(model)
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._outputs = {model.graph.node[layer.index].output[0]: layer for layer in layers}

    def fits(self, group: LayerGroup) -> bool:
        """Return whether parameters can absorb a scale of the group's inputs."""
        only_layers = sorted(self._readers[group.source]) == sorted(layer.index for layer in group.layers)
        return only_layers and bool(self._norm(group) or self._gated(group))

    def apply(
        self,
        scaled: Sequence[tuple[LayerGroup, NDArray[np.float32]]],
        packed: Mapping[str, StoredLinear],
        stored: Callable[[Scales], Scales],
    ) -> Mapping[str, NDArray[np.floating]]:
        """Return the parameters of normalizations divided by the scales; divide the rows of layers in place.

        `scaled` are groups with the scale of their inputs, and `packed` the rounded layers by their weights. `stored`
        rounds the scales of rows to the type in which they are stored, in which they may become 0.
        """
        replaced = {}
        for group, scale in scaled:
            norm = self._norm(group)
            for name in norm:
                replaced[name] = numpy_helper.to_array(tensor_of(self._model, name)) / scale
            before = self._gated(group)
            if not norm and before is not None:
                layer = packed[before.weight]
                layer.rescale(stored(layer.scales / scale[:, None]))
        return replaced

    def _norm(self, group: LayerGroup) -> list[str]:
        """Return the parameters of the normalization before a group; none if another node reads them."""
        node = self._producers.get(group.source)
        if node is None or node.op_type not in PARAMETERS:
            return []
        # A Mul multiplies by its weight; the others have a weight and perhaps a bias in fixed places.
        inputs = (node.input[index] for index in PARAMETERS[node.op_type] if index < len(node.input))
        names = [name for name in inputs if name in self._trained]
        whole = [index for index in PARAMETERS[node.op_type] if index < len(node.input) and node.input[index]]
        if len(names) != (1 if node.op_type == "Mul" else len(whole)):
            return []
        width = group.layers[0].inputs
        fits = all([*tensor_of(self._model, name).dims] == [width] and len(self._readers[name]) == 1 for name in names)
        return names if fits else []

    def _gated(self, group: LayerGroup) -> GraphLayer | None:
        """Return the layer whose output is one factor of the group's inputs, and goes nowhere else."""
        node = self._producers.get(group.source)
        if node is None or node.op_type != "Mul":
            return None
        factors = (self._outputs.get(name) for name in node.input if len(self._readers[name]) == 1)
        layer = next((layer for layer in factors if layer is not None), None)
        # A bias in the same node (Gemm) would have to be divided too.
        shared = layer is not None and len(self._readers[layer.weight]) > 1
        return layer if layer is not None and layer.operator == "MatMul" and not shared else None
