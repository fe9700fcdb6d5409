"""The header of a GGUF file: architecture and tensors, read in small ranges.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from dataclasses import dataclass
from typing import Final

from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.tensors import Tensor

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
STRING, ARRAY = 8, 9
SCALARS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
MAX_TEXT: Final = 1 << 20
MAX_COUNT: Final = 1 << 20
MAX_ARRAY: Final = 1 << 24
MAX_DIMENSIONS: Final = 4

Value = str | int | float | bool


@dataclass(frozen=True)
class GgufHeader:
    """Single values by key (for arrays their length), and the tensors in file order."""

    values: dict[str, Value]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        """The name of the architecture, such as llama; empty without one."""
        return str(self.values.get("general.architecture", ""))


class _HeaderParser:
    """One pass over a header; every length is checked against the size of the file before a read."""

    def __init__(self, reader: RangeReader, spec_field: str) -> None:
        self._reader = reader
        self._field = spec_field
        self.position = 0

    def take(self, length: int) -> bytes:
        content = self._reader.read(self.position, length)
        if len(content) < length:
            raise self.truncated(f"its header needs bytes up to {self.position + length}, and the file has {self.size}")
        self.position += length
        return content

    def number(self, code: str) -> int | float | bool:
        value: int | float | bool = struct.unpack(code, self.take(struct.calcsize(code)))[0]
        return value

    def count(self, limit: int, items: str) -> int:
        value = int(self.number("<Q"))
        if value > limit:
            raise self.broken(f"it states {value} {items}, more than the maximum of {limit}")
        return value

    def text(self) -> str:
        return self.take(self.count(MAX_TEXT, "bytes of a text")).decode(errors="replace")

    def value(self, kind: int, *, depth: int = 0) -> Value:
        """Return a value; for an array its length."""
        if kind == STRING:
            return self.text()
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind != ARRAY or depth > 1:
            raise self.broken(f"value type {kind} at byte {self.position} is unknown")
        inner, length = int(self.number("<I")), self.count(MAX_ARRAY, "items of a list")
        if inner in SCALARS:
            self.position += length * struct.calcsize(SCALARS[inner])
            return length
        for _ in range(length):
            self.value(inner, depth=depth + 1)
        return length

    @property
    def size(self) -> int:
        return self._reader.entry.size

    def truncated(self, problem: str) -> InvalidInput:
        path, text = self._reader.entry.path, f"the file is truncated: {problem}"
        return InvalidInput("TruncatedFile", self._field, path, text, "upload it again")

    def broken(self, problem: str) -> InvalidInput:
        path, text = self._reader.entry.path, f"not a GGUF file: {problem}"
        return InvalidInput("InvalidFile", self._field, path, text, "convert the model again with llama.cpp")


def read_gguf(reader: RangeReader, spec_field: str) -> GgufHeader:
    """Read the header of a GGUF file of version 2 or 3, little-endian.

    Raises InvalidInput, with the name of the file, if it is not a GGUF file, or is truncated.
    """
    parser = _HeaderParser(reader, spec_field)
    if reader.read(0, 4) != MAGIC:
        raise parser.broken("it does not begin with GGUF")
    parser.take(4)
    version = int(parser.number("<I"))
    if version not in VERSIONS:
        raise parser.broken(f"version {version} is not one of {', '.join(map(str, VERSIONS))} in little-endian order")
    tensor_count, value_count = parser.count(MAX_COUNT, "tensors"), parser.count(MAX_COUNT, "values")
    values: dict[str, Value] = {}
    for _ in range(value_count):
        key = parser.text()
        values[key] = parser.value(int(parser.number("<I")))
    tensors = [_tensor(parser) for _ in range(tensor_count)]
    alignment = int(values.get("general.alignment", 32)) or 32
    start = -(-parser.position // alignment) * alignment
    end = max((start + offset + tensor.size for tensor, offset in tensors), default=start)
    if end > parser.size:
        raise parser.truncated(f"its tensors end at byte {end} and the file has {parser.size}")
    return GgufHeader(values, tuple(tensor for tensor, _ in tensors))


def _tensor(parser: _HeaderParser) -> tuple[Tensor, int]:
    """Return a tensor and its offset from the end of the header."""
    name, dimensions = parser.text(), int(parser.number("<I"))
    if dimensions > MAX_DIMENSIONS:
        raise parser.broken(f"tensor {name!r} has {dimensions} dimensions")
    # GGUF stores the fastest dimension first.
    shape = tuple(reversed([int(parser.number("<Q")) for _ in range(dimensions)]))
    code, offset = int(parser.number("<I")), int(parser.number("<Q"))
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType  # slow to import, and few sources need it

    try:
        kind = GGMLQuantizationType(code)
        block, size = GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError) as error:
        raise parser.broken(f"tensor {name!r} has the unknown type {code}") from error
    return Tensor(name, kind.name, shape, math.prod(shape) // block * size), offset
