"""Mixed precision: how many bits each weight gets within a budget, by how much the answers depend on it.

The sensitivity of a weight is measured: how far the answers on calibration data move when it alone is rounded to four
bits, for each share of its squares that this loses. What other bits cost follows from the share that they lose, and the
budget is spent where a byte buys most. HAWQ (Dong et al. 2019, arXiv:1905.03696) does so with a Hessian's trace in the
place of measured answers.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.calibration.budget import Demand, by_budget, most_saved
from compression_runner.calibration.layers import Layer, tensor_of, weight_matrix
from compression_runner.calibration.sensitivity import output_changes
from compression_runner.dataset import SampleSet
from compression_runner.formats.onnx_files import size_of
from compression_runner.methods.quantize.weight_only.choosing import Choice
from compression_runner.methods.quantize.weight_only.grid import Layout, Weights, decode, round_nearest
from compression_runner.methods.quantize.weight_only.packing import stored_bits

BITS: Final = (8, 4, 2)
"""What a weight may get; three bits would be stored in four."""
PROBED: Final = 4
WATCHED: Final = 4
"""Calibration samples that sensitivities are measured on: it takes as many runs of the model as there are weights."""
POSITIONS: Final = 1024
"""Tokens of these samples together, so that one long text is enough."""
NODES: Final = 1024
"""Bytes that a quantized weight's nodes and names take at most."""

Layouts = Callable[[int, int], Layout]
"""The groups for so many bits and inputs."""


class OutOfReach(ValueError):
    """No choice of bits keeps the budget."""


def mix(
    model: onnx.ModelProto,
    choice: Choice,
    layouts: Layouts,
    samples: SampleSet,
    budget: float,
    advance: Callable[[float], None] = lambda _share: None,
) -> Mapping[str, int]:
    """Bits by initializer, so that the model keeps `budget` of its size; what is absent stays as it is.

    Raises OutOfReach.
    """
    weights = _Weights(model, choice)
    losses = {name: weights.losses(name, layouts) for name in weights.names}
    substitutes = weights.rounded(layouts, advance)
    changes = dict(zip(weights.names, output_changes(model, samples, substitutes, _watched(samples)), strict=True))
    size = sum(map(size_of, model.graph.initializer)) + sum(node.ByteSize() for node in model.graph.node)
    demands = [
        Demand(
            np.array(weights.sizes(name, layouts), np.int64),
            np.array(losses[name]),
            size_of(tensor_of(model, name)),
            unit=1,
            weight=changes[name] / max(losses[name][BITS.index(PROBED)], np.finfo(np.float64).tiny),
        )
        for name in weights.names
    ]
    found = by_budget(demands, max(0, size - int(budget * size)))
    if found is None:
        least = 1.0 - most_saved(demands) / size
        raise OutOfReach(f"with two bits for every weight the model would still have {least:.3f} of its size")
    return {name: BITS[bits] for name, bits in zip(weights.names, found, strict=True) if bits is not None}


def _watched(samples: SampleSet) -> int:
    longest = max((samples.length(index) for index in range(min(WATCHED, len(samples)))), default=1)
    return max(1, min(WATCHED, POSITIONS // max(1, longest)))


class _Weights:
    """All that may get few bits, as matrices: layers (outputs, inputs), tables (rows, width)."""

    def __init__(self, model: onnx.ModelProto, choice: Choice) -> None:
        self._model = model
        self._layers: dict[str, Layer] = {layer.weight: layer for layer in choice.layers}
        self.names = choice.names

    def losses(self, name: str, layouts: Layouts) -> list[float]:
        """The share of a weight's squares that rounding loses, for each of BITS."""
        weights = self._matrix(name)
        energy = float(np.square(weights, dtype=np.float64).sum()) or 1.0
        rounded = (decode(*round_nearest(weights, layouts(bits, weights.shape[1]))) for bits in BITS)
        return [float(np.square(weights - other, dtype=np.float64).sum()) / energy for other in rounded]

    def sizes(self, name: str, layouts: Layouts) -> list[int]:
        """Bytes of codes, scales and zero points, for each of BITS."""
        layer = self._layers.get(name)
        outputs, inputs = (layer.outputs, layer.inputs) if layer else tensor_of(self._model, name).dims
        return [_size(outputs, layouts(bits, inputs), inputs) for bits in BITS]

    def rounded(self, layouts: Layouts, advance: Callable[[float], None]) -> Iterator[tuple[str, NDArray[np.floating]]]:
        """Each weight as it would be at PROBED bits, as it lies in the graph."""
        for index, name in enumerate(self.names):
            weights, layer = self._matrix(name), self._layers.get(name)
            result = decode(*round_nearest(weights, layouts(PROBED, weights.shape[1])))
            kind = numpy_helper.to_array(tensor_of(self._model, name)).dtype
            yield name, (result if layer is None or layer.by_output else result.T).astype(kind)
            advance((index + 1) / len(self.names))

    def _matrix(self, name: str) -> Weights:
        layer = self._layers.get(name)
        if layer is not None:
            return weight_matrix(self._model, layer)
        return numpy_helper.to_array(tensor_of(self._model, name)).astype(np.float32)


def _size(outputs: int, layout: Layout, inputs: int) -> int:
    groups, bits = layout.groups(inputs), stored_bits(layout)
    codes = outputs * groups * layout.group * bits // 8
    implied = layout.symmetric and bits == layout.bits
    return codes + 4 * outputs * groups + (0 if implied else outputs * -(-groups * bits // 8)) + NODES
