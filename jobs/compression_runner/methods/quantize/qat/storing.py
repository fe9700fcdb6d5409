"""Store trained levels in the exported graph: low-bit integers and a DequantizeLinear.

An exporter may transpose a weight, or multiply its channels when it fuses a normalization into a convolution. Neither
changes the levels, so each weight is identified by its levels, and its steps are computed from the graph.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.errors import Problem
from compression_runner.methods.quantize.qat.layers import QuantizedWeight
from compression_runner.methods.quantize.qat.quantizers import Levels

BITS: Final[dict[Levels, int]] = {"int8": 8, "int4": 4, "int2": 2, "ternary": 2, "binary": 2}
TYPES: Final = {8: TensorProto.INT8, 4: TensorProto.INT4, 2: TensorProto.INT2}
OPSET: Final = {8: 20, 4: 21, 2: 25}
"""The first opset with the type."""
IR: Final = {8: 10, 4: 10, 2: 13}
TOLERANCE: Final = 1e-4


class NotStored(Problem):
    """A trained weight is not in the graph."""


def store(model: onnx.ModelProto, weights: Mapping[str, QuantizedWeight]) -> Mapping[str, Any]:
    """Replace every initializer with trained levels, in place, and return details.

    Raises NotStored if a trained weight is not in the graph.
    """
    counted: Counter[str] = Counter()
    widest = 8
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if len(tensor.dims) >= 2}
    for names, weight in _by_weight(weights):
        # An exporter may have written a weight that several layers share once, or once for each.
        matches = list(islice(_matches(arrays, weight.levels.numpy()), len(names)))
        if not matches:
            raise NotStored(f"the weight of {names[0]} is not in the exported graph")
        for initializer, levels, steps, axis in matches:
            del arrays[initializer]
            bits = _bits(weight.kind, levels, axis)
            widest = min(widest, bits)
            _replace(model, initializer, levels, steps, axis, bits)
        counted[weight.kind] += len(names)
    opset = next(entry for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    opset.version = max(opset.version, OPSET[widest])
    model.ir_version = max(model.ir_version, IR[widest])
    return {"layers": dict(counted), "bitsStored": widest}


def _by_weight(weights: Mapping[str, QuantizedWeight]) -> Iterator[tuple[list[str], QuantizedWeight]]:
    """Yield each weight once, with the names of all layers that share it."""
    names: dict[int, list[str]] = {}
    for name, weight in weights.items():
        names.setdefault(id(weight), []).append(name)
    for shared in names.values():
        yield shared, weights[shared[0]]


def _bits(kind: Levels, levels: NDArray[np.int8], axis: int) -> int:
    """Return the bits of each level in the graph.

    onnxruntime 1.32 multiplies 2-bit columns wrongly if their number is not a multiple of 4: these get 4 bits.
    """
    bits = BITS[kind]
    return 4 if bits == 2 and axis > 0 and levels.shape[axis] % 4 else bits


def _matches(
    arrays: Mapping[str, NDArray[Any]], levels: NDArray[np.int8]
) -> Iterator[tuple[str, NDArray[np.int8], NDArray[np.float32], int]]:
    """Yield initializers that are these levels times a factor per channel: name, arranged levels, factors, axis."""
    for name, array in arrays.items():
        if array.dtype != np.float32:
            continue
        for arranged, axis in ((levels, 0), (levels.T, levels.ndim - 1)):
            if arranged.shape == array.shape:
                factors = _factors(array, arranged, axis)
                if factors is not None:
                    yield name, arranged, factors, axis
                    break


def _factors(array: NDArray[np.float32], levels: NDArray[np.int8], axis: int) -> NDArray[np.float32] | None:
    """Return the factor of each channel; None if the array is not a multiple of the levels."""
    flat, whole = (np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1) for values in (array, levels))
    whole = whole.astype(np.float32)
    norms = (whole * whole).sum(1)
    factors = np.divide((flat * whole).sum(1), norms, out=np.ones(len(flat), np.float32), where=norms > 0)
    difference = np.abs(flat - factors[:, None] * whole).max(1)
    largest = np.abs(flat).max(1)
    return factors.astype(np.float32) if (difference <= TOLERANCE * largest + 1e-12).all() else None


def _replace(
    model: onnx.ModelProto, name: str, levels: NDArray[np.int8], steps: NDArray[np.float32], axis: int, bits: int
) -> None:
    index = next(position for position, tensor in enumerate(model.graph.initializer) if tensor.name == name)
    stored, scale = f"{name}_levels", f"{name}_steps"
    tensor = helper.make_tensor(stored, TYPES[bits], levels.shape, _packed(levels, bits), raw=True)
    model.graph.initializer[index].CopyFrom(tensor)
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(steps), scale))
    node = helper.make_node("DequantizeLinear", [stored, scale], [name], name=f"{name}_dequantize", axis=axis)
    model.graph.node.insert(0, node)


def _packed(levels: NDArray[np.int8], bits: int) -> bytes:
    """Pack levels in the layout of ONNX: the first of several in a byte has its lowest bits."""
    flat = np.ascontiguousarray(levels).reshape(-1)
    each = 8 // bits
    padded = np.concatenate([flat, np.zeros(-len(flat) % each, np.int8)]).astype(np.int16) & ((1 << bits) - 1)
    parts = padded.reshape(-1, each)
    total = np.zeros(len(parts), np.int16)
    for position in range(each):
        total |= parts[:, position] << (bits * position)
    return total.astype(np.uint8).tobytes()
