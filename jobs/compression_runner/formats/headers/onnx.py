"""The graph of an ONNX file without its weights: protobuf fields are walked, and raw data is stepped over.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from compression_runner.errors import InvalidInput
from compression_runner.formats.graph_weights import WEIGHTS
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.inference.predictor import TensorInfo
from compression_runner.inference.value_info import TENSOR, kind_of, tensor_info

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# Fields of ModelProto, GraphProto, FunctionProto, NodeProto, AttributeProto, SparseTensorProto and TensorProto.
MODEL_IR_VERSION, MODEL_GRAPH, MODEL_FUNCTION = 1, 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SPARSE = 1, 5, 11, 12, 15
FUNCTION_NODE, FUNCTION_DOMAIN = 7, 10
NODE_INPUT, NODE_OUTPUT, NODE_OP_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_FLOATS, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 7, 10, 11
SPARSE_VALUES = 1
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
MAX_TEXT: Final = 1 << 16
STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


@dataclass(frozen=True)
class External:
    """Where a tensor's data lies outside of the graph file."""

    location: str
    offset: int
    length: int


@dataclass(frozen=True)
class Stored:
    """Where a tensor's numbers lie as they are in memory: in a file beside the graph, or, location "", in its own."""

    tensor: Tensor
    location: str
    offset: int
    length: int


@dataclass
class OnnxGraph:
    """What the walk finds: tensors, inputs and outputs, operators, and data outside of the file.

    Tensors and operators are those of Constant nodes, bodies of If and Loop and model-local functions too;
    `multiplied` are the names that layers read as a weight.
    `takes` and `gives` are the inputs and outputs with type and shape; `kinds` says what those are
    that are no tensors.
    """

    tensors: list[Tensor] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    externals: list[External] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    takes: list[TensorInfo] = field(default_factory=list)
    gives: list[TensorInfo] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    operators: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    multiplied: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    ir_version: int = 0


class _Walk:
    """One pass over a file; every length is checked against what encloses it before anything is read."""

    def __init__(self, reader: RangeReader, spec_field: str) -> None:
        self._reader = reader
        self._field = spec_field

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._reader.entry.size

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(number, wire type, start, end) of every field of the message between two offsets; varints as their value."""
        at = start
        while at < end:
            key, at = self._varint(at, end)
            number, kind = key >> 3, key & 7
            if kind == VARINT:
                value, at = self._varint(at, end)
                yield number, kind, value, at
                continue
            if kind == BYTES:
                length, at = self._varint(at, end)
            elif kind in (FIXED64, FIXED32):
                length = 8 if kind == FIXED64 else 4
            else:
                raise self.broken(f"byte {at} is not part of a protobuf message")
            if at + length > end:
                raise self.truncated(f"a field needs bytes up to {at + length} and there are {end}")
            yield number, kind, at, at + length
            at += length

    def content(self, start: int, end: int, limit: int = MAX_TEXT) -> bytes:
        """The bytes of a small field."""
        if end - start > limit:
            raise self.broken(f"a field of {end - start} bytes is too long for what it is")
        return self._reader.read(start, end - start)

    def text(self, start: int, end: int) -> str:
        """The text of a small field."""
        return self.content(start, end).decode(errors="replace")

    def truncated(self, problem: str) -> InvalidInput:
        return InvalidInput(
            "TruncatedFile",
            self._field,
            self._reader.entry.path,
            f"the file is truncated: {problem}",
            "upload it again",
        )

    def broken(self, problem: str) -> InvalidInput:
        remedy = "check it with onnx.checker and save it again"
        return InvalidInput(
            "InvalidFile", self._field, self._reader.entry.path, f"not an ONNX model: {problem}", remedy
        )

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        for byte in self._reader.read(at, min(10, end - at)):
            at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value, at
            shift += 7
        if at >= end:
            raise self.truncated(f"a number breaks off at byte {at}")
        raise self.broken(f"byte {at} is not part of a number")


def read_graph(reader: RangeReader, spec_field: str) -> OnnxGraph:
    """The graph of an ONNX file.

    Raises InvalidInput naming the file where it is no ONNX model or is truncated.
    """
    walk, graph = _Walk(reader, spec_field), OnnxGraph()
    bounds, functions = _bounds(walk, graph)
    for number, kind, start, end in walk.fields(*bounds):
        if kind == BYTES and number in (GRAPH_INPUT, GRAPH_OUTPUT):
            _value(walk, graph, start, end, is_input=number == GRAPH_INPUT)
    _content(walk, graph, *bounds)
    constant = {tensor.name for tensor in graph.tensors}
    graph.takes = [info for info in graph.takes if info.name not in constant]
    graph.inputs = [info.name for info in graph.takes]
    for start, end in functions:
        _function(walk, graph, start, end)
    graph.domains -= graph.defined
    if not graph.operators or not graph.outputs:
        raise walk.broken("its graph has no nodes or no outputs")
    return graph


def _bounds(walk: _Walk, graph: OnnxGraph) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return where the graph and the functions lie in the file, and note the file's IR version."""
    bounds, functions = None, []
    for number, kind, start, end in walk.fields(0, walk.size):
        if number == MODEL_IR_VERSION and kind == VARINT:
            graph.ir_version = start
        elif number == MODEL_GRAPH and kind == BYTES:
            bounds = start, end
        elif number == MODEL_FUNCTION and kind == BYTES:
            functions.append((start, end))
    if bounds is None or not graph.ir_version:
        raise walk.broken("there is no graph in it")
    return bounds, functions


def _content(walk: _Walk, graph: OnnxGraph, start: int, end: int) -> None:
    """Note the nodes and initializers of a graph, or of a body."""
    for number, kind, begin, until in walk.fields(start, end):
        if kind == BYTES and number == GRAPH_NODE:
            _node(walk, graph, begin, until)
        elif kind == BYTES and number == GRAPH_INITIALIZER:
            _tensor(walk, graph, begin, until)
        elif kind == BYTES and number == GRAPH_SPARSE:
            for inner, form, first, last in walk.fields(begin, until):
                if inner == SPARSE_VALUES and form == BYTES:
                    _tensor(walk, graph, first, last)


def _function(walk: _Walk, graph: OnnxGraph, start: int, end: int) -> None:
    for number, kind, begin, until in walk.fields(start, end):
        if kind == BYTES and number == FUNCTION_NODE:
            _node(walk, graph, begin, until)
        elif kind == BYTES and number == FUNCTION_DOMAIN:
            graph.defined.add(walk.text(begin, until))


def _node(walk: _Walk, graph: OnnxGraph, start: int, end: int) -> None:
    inputs: list[str] = []
    attributes: list[tuple[int, int]] = []
    operator = output = ""
    for number, kind, begin, until in walk.fields(start, end):
        if kind != BYTES:
            continue
        if number == NODE_INPUT:
            inputs.append(walk.text(begin, until))
        elif number == NODE_OUTPUT:
            output = output or walk.text(begin, until)
        elif number == NODE_OP_TYPE:
            operator = walk.text(begin, until)
        elif number == NODE_DOMAIN:
            graph.domains.add(walk.text(begin, until))
        elif number == NODE_ATTRIBUTE:
            attributes.append((begin, until))
    graph.operators.add(operator)
    graph.multiplied.update(inputs[place] for place in WEIGHTS.get(operator, ()) if place < len(inputs))
    for begin, until in attributes:
        _attribute(walk, graph, begin, until, output)


def _attribute(walk: _Walk, graph: OnnxGraph, start: int, end: int, name: str) -> None:
    """Note the tensors and bodies of an attribute; those of a Constant are called as its result is."""
    floats = 0
    for number, kind, begin, until in walk.fields(start, end):
        if number == ATTRIBUTE_FLOATS:
            floats += 1 if kind == FIXED32 else (until - begin) // 4
        elif kind == BYTES and number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _tensor(walk, graph, begin, until, name)
        elif kind == BYTES and number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
            _content(walk, graph, begin, until)
    if floats:
        graph.tensors.append(Tensor(name, "FLOAT", (floats,), 4 * floats))


def _value(walk: _Walk, graph: OnnxGraph, start: int, end: int, *, is_input: bool) -> None:
    try:
        value = onnx.ValueInfoProto.FromString(walk.content(start, end))
    except DecodeError as error:
        raise walk.broken("an input or output cannot be decoded") from error
    info, kind = tensor_info(value), kind_of(value.type)
    if kind != TENSOR:
        graph.kinds[info.name] = kind
    if is_input:
        graph.takes.append(info)
    else:
        graph.gives.append(info)
        graph.outputs.append(info.name)


def _tensor(walk: _Walk, graph: OnnxGraph, start: int, end: int, known: str = "") -> None:
    name, dtype, dims, outside, entries, raw = "", 0, [], False, {}, (0, 0)
    for number, kind, begin, until in walk.fields(start, end):
        if number == TENSOR_DIMS:
            dims += [begin] if kind == VARINT else _packed(walk, begin, until)
        elif number == TENSOR_TYPE and kind == VARINT:
            dtype = begin
        elif number == TENSOR_NAME:
            name = walk.text(begin, until)
        elif number == TENSOR_RAW and kind == BYTES:
            raw = begin, until
        elif number == TENSOR_EXTERNAL:
            entry = onnx.StringStringEntryProto.FromString(walk.content(begin, until))
            entries[entry.key] = entry.value
        elif number == TENSOR_LOCATION and kind == VARINT:
            outside = begin == onnx.TensorProto.EXTERNAL
    label = onnx.TensorProto.DataType.Name(dtype) if dtype in onnx.TensorProto.DataType.values() else str(dtype)
    size = end - start
    location, offset, length = "", raw[0], raw[1] - raw[0]
    if outside:
        location, offset, length = (
            entries.get("location", ""),
            int(entries.get("offset", 0)),
            int(entries.get("length", 0)),
        )
        graph.externals.append(External(location, offset, length))
        size = length
    tensor = Tensor(known or name, label, tuple(dims), size)
    graph.tensors.append(tensor)
    graph.stored.append(Stored(tensor, location, offset, length))


def _packed(walk: _Walk, start: int, end: int) -> list[int]:
    content, numbers, value, shift = walk.content(start, end), [], 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers
