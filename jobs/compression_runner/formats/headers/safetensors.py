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
    """The tensors of a file, from its header alone; raises as `read_places` does."""
    return [tensor for tensor, _, _ in read_places(reader, field)]


def read_places(reader: RangeReader, field: str) -> list[tuple[Tensor, int, int]]:
    """The tensors of a file, and at which of its bytes each begins and ends, from its header alone.

    Raises InvalidInput naming the file where the header is broken or the file is shorter than the header says.
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
    found = [_tensor(field, name, key, value) for key, value in header.items()]
    end = _check_layout(field, name, found)
    if 8 + length + end != size:
        problem = f"its tensors end at byte {8 + length + end} and the file has {size}"
        raise (_truncated if size < 8 + length + end else _broken)(field, name, problem)
    return [(tensor, 8 + length + begin, 8 + length + end) for tensor, begin, end in found]


def _tensor(field: str, file: str, name: str, value: Any) -> tuple[Tensor, int, int]:
    try:
        dtype, shape = str(value["dtype"]), tuple(int(size) for size in value["shape"])
        begin, end = (int(offset) for offset in value["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(field, file, f"tensor {name!r} has no valid dtype, shape and data_offsets") from error
    if dtype not in BITS or any(size < 0 for size in shape):
        raise _broken(field, file, f"tensor {name!r} has the unknown dtype {dtype!r} or a negative shape")
    if end - begin != (math.prod(shape) * BITS[dtype] + 7) // 8:
        raise _broken(field, file, f"tensor {name!r} takes {end - begin} bytes, which is not its shape times its dtype")
    return Tensor(name, dtype, shape, end - begin), begin, end


def _check_layout(field: str, file: str, found: list[tuple[Tensor, int, int]]) -> int:
    """The end of the last tensor, once it is sure that there are no holes or overlaps."""
    at = 0
    for tensor, begin, end in sorted(found, key=lambda item: (item[1], item[2])):
        if begin != at:
            raise _broken(field, file, f"tensor {tensor.name!r} begins at {begin} instead of {at}")
        at = end
    return at


def _truncated(field: str, file: str, problem: str) -> InvalidInput:
    return InvalidInput("TruncatedFile", field, file, f"the file is truncated: {problem}", "upload it again")


def _broken(field: str, file: str, problem: str) -> InvalidInput:
    return InvalidInput("InvalidFile", field, file, problem, "save the model again with safe_serialization")
