"""Mixed precision: allocate bits to weights within a budget, by the measured sensitivity of the outputs.

The sensitivity of a weight is the change of the outputs on calibration data when this weight alone is rounded to four
bits, per fraction of its squares that rounding loses. The cost of other bits follows from the fraction that they lose.
The budget goes where a byte lowers the loss most. HAWQ (Dong et al. 2019, arXiv:1905.03696) uses the trace of a Hessian
instead of measured outputs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.calibration.budget import LayerCandidates, allocate, most_saving
from compression_runner.calibration.layers import GraphLayer, tensor_of, weight_matrix
from compression_runner.calibration.sensitivity import output_changes
from compression_runner.dataset import SampleSet
from compression_runner.errors import Problem
from compression_runner.formats.onnx_files import size_of
from compression_runner.methods.quantize.weight_only.grid import Layout, Weights, decode, round_nearest
from compression_runner.methods.quantize.weight_only.packing import stored_bits
from compression_runner.methods.quantize.weight_only.weight_selection import WeightSelection

BITS: Final = (8, 4, 2)
"""Candidate bits of a weight; three bits would be stored in four."""
PROBE_BITS: Final = 4
MAX_SAMPLES: Final = 4
"""Maximum calibration samples for sensitivities, which need one run of the model per weight."""
MAX_TOKENS: Final = 1024
"""Maximum tokens of these samples together, so that one long text is enough."""
NODE_BYTES: Final = 1024
"""Maximum bytes of the nodes and names of a quantized weight."""

Layouts = Callable[[int, int], Layout]
"""Returns the layout for these bits and inputs."""


class BudgetOutOfReach(Problem):
    """No allocation of bits meets the budget."""


def mix(
    model: onnx.ModelProto,
    selection: WeightSelection,
    layouts: Layouts,
    samples: SampleSet,
    budget: float,
    advance: Callable[[float], None] = lambda _share: None,
) -> Mapping[str, int]:
    """Return initializer -> bits, so that the model keeps `budget` of its size; absent initializers do not change.

    Raises BudgetOutOfReach.
    """
    weights = _Weights(model, selection)
    losses = {name: weights.losses(name, layouts) for name in weights.names}
    substitutes = weights.rounded(layouts, advance)
    changes = dict(zip(weights.names, output_changes(model, samples, substitutes, _sample_count(samples)), strict=True))
    size = sum(map(size_of, model.graph.initializer)) + sum(node.ByteSize() for node in model.graph.node)
    candidates = [
        LayerCandidates(
            np.array(weights.sizes(name, layouts), np.int64),
            np.array(losses[name]),
            size_of(tensor_of(model, name)),
            unit=1,
            weight=changes[name] / max(losses[name][BITS.index(PROBE_BITS)], np.finfo(np.float64).tiny),
        )
        for name in weights.names
    ]
    choices = allocate(candidates, max(0, size - int(budget * size)))
    if choices is None:
        least = 1.0 - most_saving(candidates) / size
        raise BudgetOutOfReach(f"with two bits for every weight the model still has {least:.3f} of its size")
    return {name: BITS[bits] for name, bits in zip(weights.names, choices, strict=True) if bits is not None}


def _sample_count(samples: SampleSet) -> int:
    longest = max((samples.length(index) for index in range(min(MAX_SAMPLES, len(samples)))), default=1)
    return max(1, min(MAX_SAMPLES, MAX_TOKENS // max(1, longest)))


class _Weights:
    """The weights to quantize as matrices: layers (outputs, inputs), tables (rows, width)."""

    def __init__(self, model: onnx.ModelProto, selection: WeightSelection) -> None:
        self._model = model
        self._layers: dict[str, GraphLayer] = {layer.weight: layer for layer in selection.layers}
        self.names = selection.names

    def losses(self, name: str, layouts: Layouts) -> list[float]:
        """Return the fraction of a weight's squares that rounding loses, for each of BITS."""
        weights = self._matrix(name)
        energy = float(np.square(weights, dtype=np.float64).sum()) or 1.0
        rounded = (decode(*round_nearest(weights, layouts(bits, weights.shape[1]))) for bits in BITS)
        return [float(np.square(weights - other, dtype=np.float64).sum()) / energy for other in rounded]

    def sizes(self, name: str, layouts: Layouts) -> list[int]:
        """Return the bytes of codes, scales and zero points, for each of BITS."""
        layer = self._layers.get(name)
        outputs, inputs = (layer.outputs, layer.inputs) if layer else tensor_of(self._model, name).dims
        return [_size(outputs, layouts(bits, inputs), inputs) for bits in BITS]

    def rounded(self, layouts: Layouts, advance: Callable[[float], None]) -> Iterator[tuple[str, NDArray[np.floating]]]:
        """Yield each weight rounded to PROBE_BITS, in the layout of the graph."""
        for index, name in enumerate(self.names):
            weights, layer = self._matrix(name), self._layers.get(name)
            result = decode(*round_nearest(weights, layouts(PROBE_BITS, weights.shape[1])))
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
    return codes + 4 * outputs * groups + (0 if implied else outputs * -(-groups * bits // 8)) + NODE_BYTES
