"""The header of a safetensors file: 8 bytes of length, JSON, then the tensors back to back.

Source: https://github.com/huggingface/safetensors#format
"""

import json
import math
from typing import Any, Final

from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.tensors import Tensor

MAX_HEADER: Final = 100_000_000
BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4,
}  # fmt: skip
COMPRESSIBLE: Final = frozenset({"F64", "F32", "F16", "BF16"})


def read_header(reader: RangeReader, field: str) -> list[Tensor]:
    """Return the tensors of a file, from its header alone; raises as `read_offsets` does."""
    return [tensor for tensor, _, _ in read_offsets(reader, field)]


def read_offsets(reader: RangeReader, field: str) -> list[tuple[Tensor, int, int]]:
    """Return the tensors of a file, each with its first byte and the byte after its last, from the header alone.

    Raises InvalidInput, with the name of the file, if the header is broken or the file is truncated.
    """
    name, size = reader.entry.path, reader.entry.size
    prefix = reader.read(0, 8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or not 2 <= length <= MAX_HEADER:
        raise _broken(field, name, "it does not begin with a safetensors header")
    if 8 + length > size:
        raise _truncated(field, name, f"its header alone needs {8 + length} bytes and the file has {size}")
    try:
        header = json.loads(reader.read(8, length))
    except ValueError as error:
        raise _broken(field, name, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _broken(field, name, "its header is not a JSON object")
    header.pop("__metadata__", None)
    tensors = [_tensor(field, name, key, value) for key, value in header.items()]
    end = _check_layout(field, name, tensors)
    if 8 + length + end != size:
        problem = f"its tensors end at byte {8 + length + end} and the file has {size}"
        raise (_truncated if size < 8 + length + end else _broken)(field, name, problem)
    return [(tensor, 8 + length + start, 8 + length + end) for tensor, start, end in tensors]


def _tensor(field: str, file: str, name: str, value: Any) -> tuple[Tensor, int, int]:
    try:
        dtype, shape = str(value["dtype"]), tuple(int(size) for size in value["shape"])
        start, end = (int(offset) for offset in value["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(field, file, f"tensor {name!r} has no valid dtype, shape and data_offsets") from error
    if dtype not in BITS or any(size < 0 for size in shape):
        raise _broken(field, file, f"tensor {name!r} has the unknown dtype {dtype!r} or a negative shape")
    if end - start != (math.prod(shape) * BITS[dtype] + 7) // 8:
        raise _broken(field, file, f"tensor {name!r} has {end - start} bytes, which do not fit its shape and dtype")
    return Tensor(name, dtype, shape, end - start), start, end


def _check_layout(field: str, file: str, tensors: list[tuple[Tensor, int, int]]) -> int:
    """Return the end of the last tensor; raise InvalidInput for gaps and overlaps."""
    expected = 0
    for tensor, start, end in sorted(tensors, key=lambda item: (item[1], item[2])):
        if start != expected:
            raise _broken(field, file, f"tensor {tensor.name!r} begins at {start} instead of {expected}")
        expected = end
    return expected


def _truncated(field: str, file: str, problem: str) -> InvalidInput:
    return InvalidInput("TruncatedFile", field, file, f"the file is truncated: {problem}", "upload it again")


def _broken(field: str, file: str, problem: str) -> InvalidInput:
    return InvalidInput("InvalidFile", field, file, problem, "save the model again with safe_serialization")
