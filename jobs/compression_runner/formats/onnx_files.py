"""Load, save and traverse ONNX graphs together with their external data."""

import heapq
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import onnx

# Protobuf messages end at 2 GiB; above this, weights go into a file beside the graph.
SINGLE_FILE_LIMIT: Final = 1_500_000_000
GRAPH: Final = "model.onnx"
DATA: Final = "model.onnx.data"
GRAPHS: Final = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def external_files(graph: Path) -> list[Path]:
    """Return the files beside a graph that hold its external data."""
    model = onnx.load(graph, load_external_data=False)
    locations = {
        entry.value
        for tensor in tensors(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [graph.parent / location for location in sorted(locations)]


def is_large(model: onnx.ModelProto) -> bool:
    """Return whether the weights are too large for one file with the graph."""
    return sum(map(size_of, tensors(model))) > SINGLE_FILE_LIMIT


def size_of(tensor: onnx.TensorProto) -> int:
    """Return the bytes of the numbers of a tensor, in any field of the file."""
    numbers: int = math.prod(tensor.dims)
    return numbers * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def save(model: onnx.ModelProto, folder: Path) -> Path:
    """Write `model.onnx` to `folder`; weights too large for one file go into a file beside it."""
    graph = folder / GRAPH
    (folder / DATA).unlink(missing_ok=True)  # onnx appends to an existing file
    if is_large(model):
        onnx.save_model(model, graph, save_as_external_data=True, location=DATA, size_threshold=1024)
    else:
        onnx.save_model(model, graph)
    return graph


def strip_metadata(model: onnx.ModelProto) -> None:
    """Remove stack traces and module names: they contain paths of the exporting machine, and differ between runs."""
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


def drop_inferred_shapes(graph: Path) -> None:
    """Remove the shapes of intermediate values from a file: they follow from the graph, and take space.

    Weights beside the file do not change.
    """
    model = onnx.load(graph, load_external_data=False)
    for part in graphs(model.graph):
        del part.value_info[:]
    graph.write_bytes(model.SerializeToString())


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, including those of subgraphs."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes(inner)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and every graph within it: bodies of If, Loop and Scan."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.type in GRAPHS else ():
                yield from graphs(inner)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every stored tensor: initializers, and attributes of nodes (Constant), including those of bodies."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                yield from (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors)


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names that a node reads, including the outer values that its subgraphs read."""
    yield from (name for name in node.input if name)
    for entry in node.attribute:
        for graph in (entry.g, *entry.graphs):
            inner = {value.name for value in (*graph.input, *graph.initializer)}
            for child in graph.node:
                yield from (name for name in reads(child) if name not in inner)
                inner.update(child.output)


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Sort nodes topologically; a sorted graph does not change."""
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{producers[name] for name in reads(node) if name in producers} for node in graph.node]
    if all(max(before, default=-1) < index for index, before in enumerate(needs)):
        return
    readers: dict[int, list[int]] = {}
    for index, before in enumerate(needs):
        for position in before:
            readers.setdefault(position, []).append(index)
    waiting = [len(before) for before in needs]
    ready = [index for index, count in enumerate(waiting) if not count]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) == len(graph.node):  # otherwise the graph has a cycle
        set_nodes(graph, [graph.node[index] for index in order])


def set_nodes(graph: onnx.GraphProto, ordered: Sequence[onnx.NodeProto]) -> None:
    """Replace the nodes of a graph by these, in this order; they may be its own nodes."""
    kept = []
    for node in ordered:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        kept.append(copied)
    del graph.node[:]
    graph.node.extend(kept)
