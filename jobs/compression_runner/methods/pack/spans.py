"""Which bytes of a model's files are numbers of which type: what the tensor-aware codecs go by.

A file that cannot be read as what its name says is bytes to them: packing never fails for that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.onnx import read_graph
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.safetensors import read_places
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.storage.directory import DirectoryStore

SMALLEST: Final = 1024
"""Bytes below which a tensor is not worth a block of its own."""

# Bytes of a number, and whether it is a float; names of safetensors, then of ONNX.
TYPES: Final[Mapping[str, tuple[int, bool]]] = {
    "F64": (8, True), "F32": (4, True), "F16": (2, True), "BF16": (2, True), "I64": (8, False), "U64": (8, False),
    "I32": (4, False), "U32": (4, False), "I16": (2, False), "U16": (2, False), "I8": (1, False), "U8": (1, False),
    "F8_E4M3": (1, True), "F8_E5M2": (1, True),
    "DOUBLE": (8, True), "FLOAT": (4, True), "FLOAT16": (2, True), "BFLOAT16": (2, True), "INT64": (8, False),
    "UINT64": (8, False), "INT32": (4, False), "UINT32": (4, False), "INT16": (2, False), "UINT16": (2, False),
    "INT8": (1, False), "UINT8": (1, False), "FLOAT8E4M3FN": (1, True), "FLOAT8E5M2": (1, True),
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A stretch of a file. `width` is the bytes of a number, `row` those of one entry of the first axis, 0 if unknown.

    `dtype` is the type's name where the stretch is a tensor's, otherwise empty.
    """

    start: int
    length: int
    width: int = 1
    floating: bool = False
    row: int = 0
    dtype: str = ""

    @property
    def end(self) -> int:
        """The byte after the last."""
        return self.start + self.length


def spans_of(artifact: Artifact) -> dict[str, list[Span]]:
    """For each weight file its spans, in order and without holes."""
    store = DirectoryStore(artifact.path.as_uri(), artifact.path, "pipeline.pack")
    sizes = {file.path: file.size for file in artifact.files if file.weights}
    found: dict[str, list[Span]] = {path: [] for path in sizes}
    for path in sizes:
        entry = store.find(path)
        if entry is None:
            continue
        try:
            places = list(_places(path, RangeReader(store, entry)))
        except (InvalidInput, ValueError):
            continue
        for other, tensor, start, length in places:
            # External data, and what a graph says of it, may not fit each other.
            if other in found and start >= 0 and start + length <= sizes[other]:
                found[other].append(_span(tensor, start, length))
    return {path: without_holes(spans, sizes[path]) for path, spans in found.items()}


def without_holes(tensors: Iterable[Span], size: int) -> list[Span]:
    """Tensors of some size in order, with bytes of no type where there are none; what overlaps is dropped."""
    spans: list[Span] = []
    at = 0
    for span in sorted(tensors, key=lambda span: (span.start, span.length)):
        if span.length < SMALLEST or span.start < at:
            continue
        if span.start > at:
            spans.append(Span(at, span.start - at))
        spans.append(span)
        at = span.end
    if at < size:
        spans.append(Span(at, size - at))
    return spans


def _places(path: str, reader: RangeReader) -> Iterable[tuple[str, Tensor, int, int]]:
    """(file, tensor, start, length) of every tensor that a file holds or names."""
    if path.endswith(".safetensors"):
        for tensor, start, end in read_places(reader, "pipeline.pack"):
            yield path, tensor, start, end - start
    elif path.endswith(".onnx"):
        folder = path.rpartition("/")[0]
        for stored in read_graph(reader, "pipeline.pack").stored:
            other = "/".join(part for part in (folder, stored.location) if part) if stored.location else path
            yield other, stored.tensor, stored.offset, stored.length


def _span(tensor: Tensor, start: int, length: int) -> Span:
    width, floating = TYPES.get(tensor.dtype, (1, False))
    if length % width or length != tensor.elements * width:
        return Span(start, length)
    row = length // tensor.shape[0] if len(tensor.shape) > 1 and tensor.shape[0] else 0
    return Span(start, length, width, floating, row, tensor.dtype)


def total(spans: Sequence[Span]) -> int:
    """The bytes that spans cover."""
    return sum(span.length for span in spans)
