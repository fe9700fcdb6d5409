"""The weights of an ONNX graph, including those read in bodies of If and Loop, and behind a Transpose."""

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
"""Operators -> indices of inputs that may be weights."""
RECURRENT: Final[Mapping[str, tuple[int, ...]]] = {"LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2)}
WEIGHTS: Final = {**LAYERS, **RECURRENT}
FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
LAYOUT_OPERATORS: Final = ("Transpose", "Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Operators that only change the layout or type of a tensor."""
MATRIX: Final = 2
NAMED: Final = 20
"""Maximum number of skipped weights listed by name."""


def float_weights(
    model: onnx.ModelProto, operators: Mapping[str, tuple[int, ...]] = WEIGHTS
) -> Iterator[onnx.TensorProto]:
    """Yield the initializers that are weights of layers, in file order; floats of two or more axes."""
    origins = _origins(model)
    used = {origins.get(name, name) for graph in graphs(model.graph) for name in _read(graph.node, operators)}
    for tensor in model.graph.initializer:
        if tensor.name in used and tensor.data_type in FLOATS and len(tensor.dims) >= MATRIX:
            yield tensor


def weights_in_bodies(model: onnx.ModelProto) -> dict[str, int]:
    """Return weight -> bytes, for weights that only bodies of If, Loop and Scan read."""
    origins = _origins(model)
    outer = {origins.get(name, name) for name in _read(model.graph.node, WEIGHTS)}
    return {name: size for name, size in sizes_of_weights(model).items() if name not in outer}


def sizes(model: onnx.ModelProto, names: Iterable[str]) -> dict[str, int]:
    """Return initializer -> bytes for these names."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    return {name: size_of(known[name]) for name in names if name in known}


def sizes_of_weights(model: onnx.ModelProto) -> dict[str, int]:
    """Return weight -> bytes for all weights that are floats."""
    return {tensor.name: size_of(tensor) for tensor in float_weights(model)}


def skipped_details(weights: Mapping[str, int]) -> dict[str, Any]:
    """Return stage details of weights that the stage did not change: names and bytes; {} without such weights."""
    return {"left": [*weights][:NAMED], "leftBytes": sum(weights.values())} if weights else {}


def _read(readers: Iterable[onnx.NodeProto], operators: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    for node in readers:
        indices = operators.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ()
        yield from (node.input[index] for index in indices if index < len(node.input))


def _origins(model: onnx.ModelProto) -> dict[str, str]:
    """Return value -> initializer, for values that are an initializer in another layout."""
    origins = {tensor.name: tensor.name for tensor in model.graph.initializer}
    for node in nodes(model.graph):
        if node.op_type in LAYOUT_OPERATORS and node.input[0] in origins:
            origins.setdefault(node.output[0], origins[node.input[0]])
    return origins
