"""Loading and saving of ONNX graphs together with their external data."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import onnx

# Protobuf messages end at 2 GiB; above this, weights go into a file beside the graph.
SINGLE_FILE_LIMIT: Final = 1_500_000_000
GRAPH: Final = "model.onnx"
DATA: Final = "model.onnx.data"


def external_files(graph: Path) -> list[Path]:
    """The files beside a graph that hold its external data."""
    model = onnx.load(graph, load_external_data=False)
    locations = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [graph.parent / location for location in sorted(locations)]


def is_large(model: onnx.ModelProto) -> bool:
    """Whether the weights are too many for one file with the graph."""
    return sum(map(size_of, model.graph.initializer)) > SINGLE_FILE_LIMIT


def size_of(tensor: onnx.TensorProto) -> int:
    """Bytes of an initializer's numbers, in whatever field of the file they lie."""
    numbers: int = math.prod(tensor.dims)
    return numbers * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def save(model: onnx.ModelProto, folder: Path) -> Path:
    """Writes `model.onnx` into `folder`, with its weights beside it where they are too large for one file."""
    graph = folder / GRAPH
    (folder / DATA).unlink(missing_ok=True)  # onnx appends to what is there
    if is_large(model):
        onnx.save_model(model, graph, save_as_external_data=True, location=DATA, size_threshold=1024)
    else:
        onnx.save_model(model, graph)
    return graph


def forget_origin(model: onnx.ModelProto) -> None:
    """Removes stack traces and names of modules: they hold paths of the exporting machine, and differ between runs."""
    for node in nodes(model.graph):
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes(inner)
