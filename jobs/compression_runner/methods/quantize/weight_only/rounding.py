"""Which codes the weights of a graph get: by round-to-nearest, or by what the layers see on calibration samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.calibration.feeding import Feed
from compression_runner.calibration.layers import LayerGroup, group_layers, set_weights, tensor_of, weight_matrix
from compression_runner.calibration.observing import observe
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.calibration.walking import Walk
from compression_runner.methods.quantize.weight_only import awq, gptq
from compression_runner.methods.quantize.weight_only.choosing import Choice
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Weights, decode, round_nearest
from compression_runner.methods.quantize.weight_only.packing import Packed, pack

Algorithm = Literal["rtn", "gptq", "awq"]
SMALLEST: Final = 16
"""Inputs in a group at the least, for onnxruntime."""


@dataclass(frozen=True)
class Method:
    """How weights are rounded; `bits` is what each initializer gets, by name."""

    algorithm: Algorithm
    bits: Mapping[str, int]
    group: int
    symmetric: bool

    def layout(self, name: str, inputs: int) -> Layout:
        """Groups for a weight of so many inputs."""
        return layout(self.bits[name], inputs, self.group, symmetric=self.symmetric)


def layout(bits: int, inputs: int, group: int, *, symmetric: bool) -> Layout:
    """Groups for so many inputs: no larger than it takes to hold all of them."""
    whole = max(SMALLEST, 1 << (inputs - 1).bit_length())
    return Layout(bits, min(group, whole), symmetric)


@dataclass
class Rounded:
    """Packed weights by initializer, what the inputs of groups are divided by, and the error that rounding made.

    `scaled` are the groups whose weights were multiplied by a scale for each input, shape (inputs,). The error is that
    of the layers' outputs on calibration samples, or of the weights where there are none, as a part of the squares of
    the outputs or weights.
    """

    packed: dict[str, Packed] = field(default_factory=dict)
    scaled: list[tuple[LayerGroup, NDArray[np.float32]]] = field(default_factory=list)
    rows: int = 0
    lost: float = 0.0
    whole: float = 0.0

    @property
    def error(self) -> float:
        """The relative squared error, from 0 to 1 and above."""
        return self.lost / self.whole if self.whole else 0.0

    def add(self, name: str, codes: Codes, grid: Grid) -> None:
        """Keeps the codes of an initializer, packed."""
        self.packed[name] = pack(codes, grid)

    def count(self, weights: Weights, rounded: Weights, hessian: NDArray[np.float64] | None) -> None:
        """Adds what rounding changed."""
        self.lost += _energy(weights - rounded, hessian)
        self.whole += _energy(weights, hessian)


def _energy(weights: Weights, hessian: NDArray[np.float64] | None) -> float:
    """The sum of the squared outputs, trace(W H W^T), or of the squared weights where nothing was observed."""
    seen = weights if hessian is None else weights @ hessian.astype(np.float32)
    return float(np.einsum("oi,oi->", seen, weights, dtype=np.float64))


def round_weights(
    model: onnx.ModelProto,
    choice: Choice,
    method: Method,
    feeds: Sequence[Feed],
    advance: Callable[[float], None] = lambda _share: None,
) -> Rounded:
    """Codes for all that was chosen; the model's own weights become what they stand for.

    Layers are rounded in the order of the graph, each by what it sees when those before it are rounded already. Tables
    are rounded to the nearest; one that is a layer's weight at the same time is rounded as the layer's.
    """
    rounded = Rounded()
    for name in [name for name in choice.tables if name not in choice.tied]:
        _round_nearest(model, name, method, rounded)
    groups = group_layers(choice.layers)
    for index, (group, seen) in enumerate(_observed(model, groups, method, feeds)):
        _round_group(model, choice, group, method, seen, rounded)
        advance((index + 1) / len(groups))
    return rounded


def _observed(
    model: onnx.ModelProto, groups: list[LayerGroup], method: Method, feeds: Sequence[Feed]
) -> Iterator[tuple[LayerGroup, InputStatistics | None]]:
    if method.algorithm == "rtn":
        yield from ((group, None) for group in groups)
        return
    for group, inputs in Walk(model, feeds).groups(groups):
        yield group, observe(model, group, inputs, feeds)


def _round_nearest(model: onnx.ModelProto, name: str, method: Method, rounded: Rounded) -> None:
    tensor = tensor_of(model, name)
    before = numpy_helper.to_array(tensor)
    weights = before.astype(np.float32)
    codes, grid = round_nearest(weights, method.layout(name, weights.shape[1]))
    rounded.add(name, codes, grid)
    tensor.CopyFrom(numpy_helper.from_array(decode(codes, grid).astype(before.dtype), name))


def _round_group(
    model: onnx.ModelProto,
    choice: Choice,
    group: LayerGroup,
    method: Method,
    seen: InputStatistics | None,
    rounded: Rounded,
) -> None:
    layers = [layer for layer in group.layers if layer.weight not in rounded.packed]
    hessian = seen.hessian if seen else None
    scale = _scale(model, choice, group, method, seen, rounded)
    if seen:
        rounded.rows = max(rounded.rows, seen.rows)
    for layer in layers:
        if layer.weight in rounded.packed:
            continue
        weights = weight_matrix(model, layer)
        codes, grid = _codes(weights, hessian, scale, method.algorithm, method.layout(layer.weight, layer.inputs))
        result = decode(codes, grid) if scale is None else decode(codes, grid) / scale
        rounded.count(weights, result, hessian)
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
    choice: Choice,
    group: LayerGroup,
    method: Method,
    seen: InputStatistics | None,
    rounded: Rounded,
) -> awq.Scale | None:
    """AWQ's scale for a group; none where a weight is used elsewhere too, and so must stay as it is."""
    if method.algorithm != "awq" or seen is None:
        return None
    names = [layer.weight for layer in choice.layers]
    if any(
        layer.weight in choice.tables or layer.weight in rounded.packed or names.count(layer.weight) > 1
        for layer in group.layers
    ):
        return None
    layers = [(weight_matrix(model, layer), method.layout(layer.weight, layer.inputs)) for layer in group.layers]
    return awq.find_scale(layers, seen)
