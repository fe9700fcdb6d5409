"""Locate the tensors in the files of a model, with their types, for the tensor-aware codecs.

A file whose header cannot be read is packed as plain bytes, without an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.onnx import read_graph
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.safetensors import read_offsets
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.storage.directory import DirectoryStore

MIN_TENSOR: Final = 1024
"""Minimum bytes of a tensor to get a block of its own."""

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
    """A byte range of a file. `width` is the bytes of a number, `row` those of an entry of the first axis, or 0.

    `dtype` is the name of the type of a tensor, empty for other bytes.
    """

    start: int
    length: int
    width: int = 1
    floating: bool = False
    row: int = 0
    dtype: str = ""

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.start + self.length


def spans_of(artifact: Artifact) -> dict[str, list[Span]]:
    """Return weight file -> its spans, in order and without gaps."""
    store = DirectoryStore(artifact.path.as_uri(), artifact.path, "pipeline.pack")
    sizes = {file.path: file.size for file in artifact.files if file.weights}
    spans_by_path: dict[str, list[Span]] = {path: [] for path in sizes}
    for path in sizes:
        entry = store.find(path)
        if entry is None:
            continue
        try:
            locations = list(_locations(path, RangeReader(store, entry)))
        except (InvalidInput, ValueError):
            continue
        for other, tensor, start, length in locations:
            # A graph may state wrong offsets of its external data.
            if other in spans_by_path and start >= 0 and start + length <= sizes[other]:
                spans_by_path[other].append(_span(tensor, start, length))
    return {path: fill_gaps(spans, sizes[path]) for path, spans in spans_by_path.items()}


def fill_gaps(tensors: Iterable[Span], size: int) -> list[Span]:
    """Return tensors above the minimum size in order, with untyped spans in the gaps; drop overlapping tensors."""
    spans: list[Span] = []
    position = 0
    for span in sorted(tensors, key=lambda span: (span.start, span.length)):
        if span.length < MIN_TENSOR or span.start < position:
            continue
        if span.start > position:
            spans.append(Span(position, span.start - position))
        spans.append(span)
        position = span.end
    if position < size:
        spans.append(Span(position, size - position))
    return spans


def _locations(path: str, reader: RangeReader) -> Iterable[tuple[str, Tensor, int, int]]:
    """Yield (file, tensor, start, length) of every tensor that a file contains or refers to."""
    if path.endswith(".safetensors"):
        for tensor, start, end in read_offsets(reader, "pipeline.pack"):
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
    """Return the bytes that spans cover."""
    return sum(span.length for span in spans)
