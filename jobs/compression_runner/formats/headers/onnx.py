"""Read the graph of an ONNX file without its weights: parse protobuf fields, and skip raw data.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.onnx_graph import ExternalData, OnnxGraph, StoredTensor
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.tensors import Tensor
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


class _FieldParser:
    """One pass over a file; every length is checked against the enclosing message before a read."""

    def __init__(self, reader: RangeReader, spec_field: str) -> None:
        self._reader = reader
        self._field = spec_field

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._reader.entry.size

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (number, wire type, start, end) of each field between two offsets; a varint has its value as start."""
        position = start
        while position < end:
            key, position = self._varint(position, end)
            number, kind = key >> 3, key & 7
            if kind == VARINT:
                value, position = self._varint(position, end)
                yield number, kind, value, position
                continue
            if kind == BYTES:
                length, position = self._varint(position, end)
            elif kind in (FIXED64, FIXED32):
                length = 8 if kind == FIXED64 else 4
            else:
                raise self.broken(f"byte {position} is not part of a protobuf message")
            if position + length > end:
                raise self.truncated(
                    f"a field needs bytes up to {position + length}, and the message ends at byte {end}"
                )
            yield number, kind, position, position + length
            position += length

    def content(self, start: int, end: int, limit: int = MAX_TEXT) -> bytes:
        """Return the bytes of a small field."""
        if end - start > limit:
            raise self.broken(f"a field of {end - start} bytes is longer than the maximum of {limit}")
        return self._reader.read(start, end - start)

    def text(self, start: int, end: int) -> str:
        """Return the text of a small field."""
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

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = shift = 0
        for byte in self._reader.read(position, min(10, end - position)):
            position += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value, position
            shift += 7
        if position >= end:
            raise self.truncated(f"a number is cut off at byte {position}")
        raise self.broken(f"byte {position} is not part of a number")


def read_graph(reader: RangeReader, spec_field: str) -> OnnxGraph:
    """Read the graph of an ONNX file.

    Raises InvalidInput, with the name of the file, if it is not an ONNX model, or is truncated.
    """
    parser, graph = _FieldParser(reader, spec_field), OnnxGraph()
    bounds, functions = _bounds(parser, graph)
    for number, kind, start, end in parser.fields(*bounds):
        if kind == BYTES and number in (GRAPH_INPUT, GRAPH_OUTPUT):
            _value(parser, graph, start, end, is_input=number == GRAPH_INPUT)
    _content(parser, graph, *bounds)
    constant = {tensor.name for tensor in graph.tensors}
    graph.takes = [info for info in graph.takes if info.name not in constant]
    graph.inputs = [info.name for info in graph.takes]
    for start, end in functions:
        _function(parser, graph, start, end)
    graph.domains -= graph.defined
    if not graph.operators or not graph.outputs:
        raise parser.broken("its graph has no nodes or no outputs")
    return graph


def _bounds(parser: _FieldParser, graph: OnnxGraph) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the byte ranges of the graph and of the functions, and record the IR version."""
    bounds, functions = None, []
    for number, kind, start, end in parser.fields(0, parser.size):
        if number == MODEL_IR_VERSION and kind == VARINT:
            graph.ir_version = start
        elif number == MODEL_GRAPH and kind == BYTES:
            bounds = start, end
        elif number == MODEL_FUNCTION and kind == BYTES:
            functions.append((start, end))
    if bounds is None or not graph.ir_version:
        raise parser.broken("it contains no graph")
    return bounds, functions


def _content(parser: _FieldParser, graph: OnnxGraph, start: int, end: int) -> None:
    """Record the nodes and initializers of a graph, or of a body."""
    for number, kind, begin, until in parser.fields(start, end):
        if kind == BYTES and number == GRAPH_NODE:
            _node(parser, graph, begin, until)
        elif kind == BYTES and number == GRAPH_INITIALIZER:
            _tensor(parser, graph, begin, until)
        elif kind == BYTES and number == GRAPH_SPARSE:
            for inner, form, first, last in parser.fields(begin, until):
                if inner == SPARSE_VALUES and form == BYTES:
                    _tensor(parser, graph, first, last)


def _function(parser: _FieldParser, graph: OnnxGraph, start: int, end: int) -> None:
    for number, kind, begin, until in parser.fields(start, end):
        if kind == BYTES and number == FUNCTION_NODE:
            _node(parser, graph, begin, until)
        elif kind == BYTES and number == FUNCTION_DOMAIN:
            graph.defined.add(parser.text(begin, until))


def _node(parser: _FieldParser, graph: OnnxGraph, start: int, end: int) -> None:
    inputs: list[str] = []
    attributes: list[tuple[int, int]] = []
    operator = output = ""
    for number, kind, begin, until in parser.fields(start, end):
        if kind != BYTES:
            continue
        if number == NODE_INPUT:
            inputs.append(parser.text(begin, until))
        elif number == NODE_OUTPUT:
            output = output or parser.text(begin, until)
        elif number == NODE_OP_TYPE:
            operator = parser.text(begin, until)
        elif number == NODE_DOMAIN:
            graph.domains.add(parser.text(begin, until))
        elif number == NODE_ATTRIBUTE:
            attributes.append((begin, until))
    graph.note(operator, inputs, output)
    for begin, until in attributes:
        _attribute(parser, graph, begin, until, output)


def _attribute(parser: _FieldParser, graph: OnnxGraph, start: int, end: int, name: str) -> None:
    """Record the tensors and bodies of an attribute; a tensor of a Constant has the name of its output."""
    floats = 0
    for number, kind, begin, until in parser.fields(start, end):
        if number == ATTRIBUTE_FLOATS:
            floats += 1 if kind == FIXED32 else (until - begin) // 4
        elif kind == BYTES and number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _tensor(parser, graph, begin, until, name)
        elif kind == BYTES and number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
            _content(parser, graph, begin, until)
    if floats:
        graph.tensors.append(Tensor(name, "FLOAT", (floats,), 4 * floats))


def _value(parser: _FieldParser, graph: OnnxGraph, start: int, end: int, *, is_input: bool) -> None:
    try:
        value = onnx.ValueInfoProto.FromString(parser.content(start, end))
    except DecodeError as error:
        raise parser.broken("an input or output cannot be decoded") from error
    info, kind = tensor_info(value), kind_of(value.type)
    if kind != TENSOR:
        graph.kinds[info.name] = kind
    if is_input:
        graph.takes.append(info)
    else:
        graph.gives.append(info)
        graph.outputs.append(info.name)


def _tensor(parser: _FieldParser, graph: OnnxGraph, start: int, end: int, known: str = "") -> None:
    name, dtype, dims, outside, entries, raw = "", 0, [], False, {}, (0, 0)
    for number, kind, begin, until in parser.fields(start, end):
        if number == TENSOR_DIMS:
            dims += [begin] if kind == VARINT else _packed(parser, begin, until)
        elif number == TENSOR_TYPE and kind == VARINT:
            dtype = begin
        elif number == TENSOR_NAME:
            name = parser.text(begin, until)
        elif number == TENSOR_RAW and kind == BYTES:
            raw = begin, until
        elif number == TENSOR_EXTERNAL:
            entry = onnx.StringStringEntryProto.FromString(parser.content(begin, until))
            entries[entry.key] = entry.value
        elif number == TENSOR_LOCATION and kind == VARINT:
            outside = begin == onnx.TensorProto.EXTERNAL
    label = onnx.TensorProto.DataType.Name(dtype) if dtype in onnx.TensorProto.DataType.values() else str(dtype)
    size = end - start
    location, offset, length = "", raw[0], raw[1] - raw[0]
    if outside:
        location = entries.get("location", "")
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
        graph.externals.append(ExternalData(location, offset, length))
        size = length
    tensor = Tensor(known or name, label, tuple(dims), size)
    graph.tensors.append(tensor)
    graph.stored.append(StoredTensor(tensor, location, offset, length))


def _packed(parser: _FieldParser, start: int, end: int) -> list[int]:
    content, numbers, value, shift = parser.content(start, end), [], 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers
