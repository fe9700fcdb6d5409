"""How one stream of bytes becomes smaller. The numbers of the coders are part of the file format."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from compression_runner.methods.pack import huffman, rans

if TYPE_CHECKING:
    from zipnn import ZipNN

Bytes = NDArray[np.uint8]

RAW: Final = 0
ZSTD: Final = 1
HUFFMAN: Final = 2
RANS: Final = 3
ZIPNN: Final = 4

LITERALS: Final = 0
"""The level at which zstd looks for next to no repeats and codes bytes by their frequency: a fast Huffman coder."""
ZIPNN_TYPES: Final = {
    "F32": "float32", "F16": "float16", "BF16": "bfloat16", "FLOAT": "float32", "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
}  # fmt: skip
_ZIPNN_HEADER: Final = 32
_ZIPNN_LEAST: Final = 1024


@dataclass(frozen=True)
class Coder:
    """A coder and its setting: zstd's level, or the dtype that zipnn takes the bytes for."""

    number: int
    level: int = LITERALS
    dtype: str = ""

    def encode(self, plain: Bytes, contexts: Bytes | None = None) -> tuple[int, bytes]:
        """The coder that was used and its bytes; RAW where they would not get fewer. Contexts make it RANS."""
        packed = None
        if contexts is not None:
            packed = rans.encode(plain, contexts)
        elif len(plain):
            packed = _ENCODERS[self.number](self, plain)
        if packed is None or len(packed) >= len(plain):
            return RAW, plain.tobytes()
        return (self.number if contexts is None else RANS), packed


def decode(number: int, packed: bytes, size: int, contexts: Bytes | None = None) -> Bytes:
    """The `size` bytes that were packed; raises ValueError where they were not packed by this coder."""
    if number not in _DECODERS:
        raise ValueError(f"coder {number} is not known")
    in_context = number == RANS and contexts is not None
    plain: Bytes = rans.decode(packed, size, contexts) if in_context else _DECODERS[number](packed, size)
    if len(plain) != size:
        raise ValueError(f"a stream unpacks to {len(plain)} bytes instead of {size}")
    return plain


@functools.lru_cache(maxsize=32)
def _compressor(level: int) -> zstandard.ZstdCompressor:
    if level == LITERALS:
        # Strategy fast with the fewest and longest repeats that there can be. Not a negative level: those leave out
        # Huffman too.
        settings = zstandard.ZstdCompressionParameters(
            strategy=zstandard.STRATEGY_FAST, min_match=7, hash_log=6, chain_log=6, window_log=17, search_log=1
        )
        return zstandard.ZstdCompressor(compression_params=settings)
    return zstandard.ZstdCompressor(level=level)


@functools.lru_cache(maxsize=8)
def _zipnn(dtype: str) -> "ZipNN":
    # It compiles a function that is not used here in a way that torch gives up.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from zipnn import ZipNN
    return ZipNN(bytearray_dtype=dtype, threads=1)


def _encode_zstd(coder: Coder, plain: Bytes) -> bytes:
    return _compressor(coder.level).compress(np.ascontiguousarray(plain).data)


def _decode_zstd(packed: bytes, size: int) -> Bytes:
    try:
        if zstandard.frame_content_size(packed) != size:
            raise ValueError("a zstd frame does not have the size that it should")
        plain = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return np.frombuffer(plain, np.uint8)


def _encode_zipnn(coder: Coder, plain: Bytes) -> bytes | None:
    # Its C code crashes on sizes that are not whole numbers.
    if len(plain) < _ZIPNN_LEAST or len(plain) % 4:
        return None
    # zipnn turns bits in the buffer that it is given, whatever its type: it gets a copy.
    packed = bytes(_zipnn(coder.dtype).compress(bytearray(plain)))
    # It makes no promise for numbers that are none, or few: what it does not give back as it was is not its.
    if len(packed) >= len(plain) or not np.array_equal(_decode_zipnn(packed, len(plain)), plain):
        return None
    return packed


def _decode_zipnn(packed: bytes, size: int) -> Bytes:
    # Its C code trusts its input: lengths are compared before, and the container's checksum has been by now.
    if len(packed) < _ZIPNN_HEADER or int.from_bytes(packed[16:24], "little") != size:
        raise ValueError("a zipnn stream does not have the size that it should")
    return np.frombuffer(_zipnn("float32").decompress(packed), np.uint8)


def _decode_raw(packed: bytes, _size: int) -> Bytes:
    return np.frombuffer(packed, np.uint8)


_ENCODERS: Final[dict[int, Callable[[Coder, Bytes], bytes | None]]] = {
    RAW: lambda _coder, _plain: None,
    ZSTD: _encode_zstd,
    HUFFMAN: lambda _coder, plain: huffman.encode(plain),
    RANS: lambda _coder, plain: rans.encode(plain),
    ZIPNN: _encode_zipnn,
}
_DECODERS: Final[dict[int, Callable[[bytes, int], Any]]] = {
    RAW: _decode_raw,
    ZSTD: _decode_zstd,
    HUFFMAN: huffman.decode,
    RANS: rans.decode,
    ZIPNN: _decode_zipnn,
}
