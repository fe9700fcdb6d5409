"""Round the weights of a graph to codes: by round-to-nearest, or by the inputs of layers on calibration samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.calibration.collection import collect_statistics
from compression_runner.calibration.device import Array, gpu_watched, inner_product, offloaded
from compression_runner.calibration.feeding import Feed
from compression_runner.calibration.layers import LayerGroup, group_layers, set_weights, tensor_of, weight_matrix
from compression_runner.calibration.sequential import SequentialCalibration
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.methods.quantize.weight_only import awq, gptq
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Weights, decode, round_nearest
from compression_runner.methods.quantize.weight_only.weight_selection import WeightSelection

Algorithm = Literal["rtn", "gptq", "awq"]
Packed = TypeVar("Packed")
Pack = Callable[[Codes, Grid], Packed]
"""Returns codes (outputs, inputs) and their grid as they are stored."""
MIN_GROUP: Final = 16
"""Minimum inputs of a group in onnxruntime."""


@dataclass(frozen=True)
class RoundingMethod:
    """The settings of rounding; `bits` maps initializers to their bits.

    `layouts` returns the layout for a number of bits and inputs. AWQ scales the groups of layers that are `scalable`.
    """

    algorithm: Algorithm
    bits: Mapping[str, int]
    layouts: Callable[[int, int], Layout]
    scalable: Callable[[LayerGroup], bool] = lambda _group: True

    def layout(self, name: str, inputs: int) -> Layout:
        """Return the layout of a weight with this number of inputs."""
        return self.layouts(self.bits[name], inputs)


def layout(bits: int, inputs: int, group: int, *, symmetric: bool) -> Layout:
    """Return a layout whose groups are not larger than the number of inputs needs."""
    largest = max(MIN_GROUP, 1 << (inputs - 1).bit_length())
    return Layout(bits, min(group, largest), symmetric)


@dataclass
class RoundedWeights(Generic[Packed]):
    """Packed weights by initializer, the scales of groups, and the rounding error.

    `scaled` are the groups whose weights were multiplied by a scale per input, shape (inputs,). The error is that of
    the layers' outputs on calibration samples, or of the weights without calibration, relative to the squares of the
    outputs or weights. `gpu` has the report's figures of the GPU that calibrated, if one did.
    """

    pack: Pack[Packed]
    packed: dict[str, Packed] = field(default_factory=dict)
    scaled: list[tuple[LayerGroup, NDArray[np.float32]]] = field(default_factory=list)
    rows: int = 0
    squared_error: float = 0.0
    energy: float = 0.0
    gpu: Mapping[str, Any] = field(default_factory=dict)

    @property
    def calibration(self) -> dict[str, Any]:
        """The report's details of the calibration; empty without one."""
        rows = {"calibrationRows": self.rows} if self.rows else {}
        return rows | ({"gpu": dict(self.gpu)} if self.gpu else {})

    @property
    def error(self) -> float:
        """The relative squared error, from 0 to 1 and above."""
        return self.squared_error / self.energy if self.energy else 0.0

    def add(self, name: str, codes: Codes, grid: Grid) -> None:
        """Add the packed codes of an initializer."""
        self.packed[name] = self.pack(codes, grid)

    def add_error(self, weights: Weights, rounded: Weights, hessian: NDArray[np.float64] | None) -> None:
        """Add the error of rounding."""
        self.squared_error += _energy(weights - rounded, hessian)
        self.energy += _energy(weights, hessian)


def _energy(weights: Weights, hessian: NDArray[np.float64] | None) -> float:
    """Return the sum of the squared outputs, trace(W H W^T), or of the squared weights without calibration."""
    if hessian is None:
        return inner_product(weights, weights)
    return _output_energy(weights, hessian.astype(np.float32))


@offloaded
def _output_energy(weights: Array, hessian: Array) -> float:
    return inner_product(weights @ hessian, weights)


def round_weights(
    model: onnx.ModelProto,
    selection: WeightSelection,
    method: RoundingMethod,
    feeds: Sequence[Feed],
    pack: Pack[Packed],
    advance: Callable[[float], None] = lambda _share: None,
) -> RoundedWeights[Packed]:
    """Return codes for the selected weights, and replace the weights of the model by their dequantized values.

    Layers are rounded in graph order, each by its inputs after the layers before are rounded. Tables are rounded to
    nearest; a table that is also the weight of a layer is rounded with the layer.
    """
    rounded = RoundedWeights(pack)
    for name in [name for name in selection.tables if name not in selection.tied]:
        _round_nearest(model, name, method, rounded)
    groups = group_layers(selection.layers)
    with gpu_watched() as watch:
        for index, (group, statistics) in enumerate(_calibrated(model, groups, method, feeds)):
            _round_group(model, selection, group, method, statistics, rounded)
            watch.step()
            advance((index + 1) / len(groups))
        rounded.gpu = watch.to_report()
    return rounded


def _calibrated(
    model: onnx.ModelProto, groups: list[LayerGroup], method: RoundingMethod, feeds: Sequence[Feed]
) -> Iterator[tuple[LayerGroup, InputStatistics | None]]:
    if method.algorithm == "rtn":
        yield from ((group, None) for group in groups)
        return
    for group, inputs in SequentialCalibration(model, feeds).groups(groups):
        yield group, collect_statistics(model, group, inputs, feeds)


def _round_nearest(model: onnx.ModelProto, name: str, method: RoundingMethod, rounded: RoundedWeights[Packed]) -> None:
    tensor = tensor_of(model, name)
    before = numpy_helper.to_array(tensor)
    weights = before.astype(np.float32)
    codes, grid = round_nearest(weights, method.layout(name, weights.shape[1]))
    rounded.add(name, codes, grid)
    tensor.CopyFrom(numpy_helper.from_array(decode(codes, grid).astype(before.dtype), name))


def _round_group(
    model: onnx.ModelProto,
    selection: WeightSelection,
    group: LayerGroup,
    method: RoundingMethod,
    statistics: InputStatistics | None,
    rounded: RoundedWeights[Packed],
) -> None:
    layers = [layer for layer in group.layers if layer.weight not in rounded.packed]
    hessian = statistics.hessian if statistics else None
    scale = _scale(model, selection, group, method, statistics, rounded)
    if statistics:
        rounded.rows = max(rounded.rows, statistics.rows)
    for layer in layers:
        if layer.weight in rounded.packed:
            continue
        weights = weight_matrix(model, layer)
        codes, grid = _codes(weights, hessian, scale, method.algorithm, method.layout(layer.weight, layer.inputs))
        result = decode(codes, grid) if scale is None else decode(codes, grid) / scale
        rounded.add_error(weights, result, hessian)
        rounded.add(layer.weight, codes, grid)
        set_weights(model, layer, result)
    if scale is not None:
        rounded.scaled.append((group, scale))


def _codes(
    weights: Weights, hessian: NDArray[np.float64] | None, scale: awq.Scale | None, algorithm: Algorithm, groups: Layout
) -> tuple[Codes, Grid]:
    if hessian is None:
        return round_nearest(weights, groups)
    if algorithm == "gptq":
        return gptq.quantize(weights, hessian, groups)
    return awq.quantize(weights, hessian, scale, groups)


def _scale(
    model: onnx.ModelProto,
    selection: WeightSelection,
    group: LayerGroup,
    method: RoundingMethod,
    statistics: InputStatistics | None,
    rounded: RoundedWeights[Packed],
) -> awq.Scale | None:
    """Return AWQ's scale for a group; None if another node uses a weight, which must not change then."""
    if method.algorithm != "awq" or statistics is None or not method.scalable(group):
        return None
    names = [layer.weight for layer in selection.layers]
    if any(
        layer.weight in selection.tables or layer.weight in rounded.packed or names.count(layer.weight) > 1
        for layer in group.layers
    ):
        return None
    layers = [(weight_matrix(model, layer), method.layout(layer.weight, layer.inputs)) for layer in group.layers]
    return awq.find_scale(layers, statistics)
