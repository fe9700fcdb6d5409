"""The weights of an ONNX graph, wherever they are read: in bodies of If and Loop too, and behind a Transpose."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import onnx

from compression_runner.formats.onnx_files import graphs, nodes, size_of

LAYERS: Final[Mapping[str, tuple[int, ...]]] = {
    "MatMul": (0, 1),
    "Gemm": (0, 1),
    "Conv": (0, 1),
    "ConvTranspose": (0, 1),
    "Gather": (0,),
    "Einsum": (0, 1),
}
"""The inputs of operators that may be weights."""
RECURRENT: Final[Mapping[str, tuple[int, ...]]] = {"LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2)}
WEIGHTS: Final = {**LAYERS, **RECURRENT}
FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
LAID_OTHERWISE: Final = ("Transpose", "Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Operators whose results have the same numbers, in the same places or others."""
MATRIX: Final = 2
NAMED: Final = 20
"""Weights that are left out are named up to so many."""


def float_weights(
    model: onnx.ModelProto, operators: Mapping[str, tuple[int, ...]] = WEIGHTS
) -> Iterator[onnx.TensorProto]:
    """The initializers that are weights of layers, in the order of the file; floats of at least two axes."""
    origins = _origins(model)
    used = {origins.get(name, name) for graph in graphs(model.graph) for name in _read(graph.node, operators)}
    for tensor in model.graph.initializer:
        if tensor.name in used and tensor.data_type in FLOATS and len(tensor.dims) >= MATRIX:
            yield tensor


def weights_in_bodies(model: onnx.ModelProto) -> dict[str, int]:
    """The weights that bodies of If, Loop and Scan alone read, and the bytes of each."""
    origins = _origins(model)
    outer = {origins.get(name, name) for name in _read(model.graph.node, WEIGHTS)}
    return {name: size for name, size in sizes_of_weights(model).items() if name not in outer}


def sizes(model: onnx.ModelProto, names: Iterable[str]) -> dict[str, int]:
    """The bytes of these initializers."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    return {name: size_of(known[name]) for name in names if name in known}


def sizes_of_weights(model: onnx.ModelProto) -> dict[str, int]:
    """The weights that are floats, and the bytes of each."""
    return {tensor.name: size_of(tensor) for tensor in float_weights(model)}


def left_out(weights: Mapping[str, int]) -> dict[str, Any]:
    """What a stage says of weights that it did not change: names and bytes; nothing where there are none."""
    return {"left": [*weights][:NAMED], "leftBytes": sum(weights.values())} if weights else {}


def _read(found: Iterable[onnx.NodeProto], operators: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    for node in found:
        places = operators.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ()
        yield from (node.input[place] for place in places if place < len(node.input))


def _origins(model: onnx.ModelProto) -> dict[str, str]:
    """The initializer behind each value that is one laid otherwise."""
    origins = {tensor.name: tensor.name for tensor in model.graph.initializer}
    for node in nodes(model.graph):
        if node.op_type in LAID_OTHERWISE and node.input[0] in origins:
            origins.setdefault(node.output[0], origins[node.input[0]])
    return origins
