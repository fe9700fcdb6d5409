"""Coders of a single stream of bytes. The numbers of the coders are part of the file format."""

import functools
import warnings
import zlib
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
DEFLATE: Final = 5

LITERALS: Final = 0
"""The level at which zstd hardly searches for repeats and codes bytes by frequency: a fast Huffman coder."""
ZIPNN_TYPES: Final = {
    "F32": "float32", "F16": "float16", "BF16": "bfloat16", "FLOAT": "float32", "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
}  # fmt: skip
_ZIPNN_HEADER: Final = 32
_ZIPNN_LEAST: Final = 1024


@dataclass(frozen=True)
class Coder:
    """A coder and its setting: the level of zstd, or the dtype for zipnn."""

    number: int
    level: int = LITERALS
    dtype: str = ""

    def encode(self, plain: Bytes, contexts: Bytes | None = None) -> tuple[int, bytes]:
        """Return the used coder and its bytes; RAW if the bytes would not shrink. `contexts` select RANS."""
        packed = None
        if contexts is not None:
            packed = rans.encode(plain, contexts)
        elif len(plain):
            packed = _ENCODERS[self.number](self, plain)
        if packed is None or len(packed) >= len(plain):
            return RAW, plain.tobytes()
        return (self.number if contexts is None else RANS), packed


def decode(number: int, packed: bytes, size: int, contexts: Bytes | None = None) -> Bytes:
    """Return the `size` unpacked bytes. Raises ValueError for bytes that are not from this coder."""
    if number not in _DECODERS:
        raise ValueError(f"coder {number} is unknown")
    in_context = number == RANS and contexts is not None
    plain: Bytes = rans.decode(packed, size, contexts) if in_context else _DECODERS[number](packed, size)
    if len(plain) != size:
        raise ValueError(f"a stream unpacks to {len(plain)} bytes instead of {size}")
    return plain


@functools.lru_cache(maxsize=32)
def _compressor(level: int) -> zstandard.ZstdCompressor:
    if level == LITERALS:
        # Strategy fast with the fewest and longest repeats possible. Not a negative level: those also skip Huffman.
        settings = zstandard.ZstdCompressionParameters(
            strategy=zstandard.STRATEGY_FAST, min_match=7, hash_log=6, chain_log=6, window_log=17, search_log=1
        )
        return zstandard.ZstdCompressor(compression_params=settings)
    return zstandard.ZstdCompressor(level=level)


@functools.lru_cache(maxsize=8)
def _zipnn(dtype: str) -> "ZipNN":
    # Its import compiles an unused function in a way that torch deprecates.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from zipnn import ZipNN
    return ZipNN(bytearray_dtype=dtype, threads=1)


def _encode_zstd(coder: Coder, plain: Bytes) -> bytes:
    return _compressor(coder.level).compress(np.ascontiguousarray(plain).data)


def _decode_zstd(packed: bytes, size: int) -> Bytes:
    try:
        if zstandard.frame_content_size(packed) != size:
            raise ValueError("a zstd frame does not have the expected size")
        plain = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError("a zstd frame is damaged") from error
    return np.frombuffer(plain, np.uint8)


def _encode_deflate(plain: Bytes) -> bytes:
    """Return a raw DEFLATE stream (RFC 1951) of Huffman codes without a search for repeats."""
    deflate = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(np.ascontiguousarray(plain).data) + deflate.flush()


def _decode_deflate(packed: bytes, size: int) -> Bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError("a DEFLATE stream is damaged") from error
    if not inflate.eof or inflate.unused_data:
        raise ValueError("a DEFLATE stream does not end at the stated position")
    return np.frombuffer(plain, np.uint8)


def _encode_zipnn(coder: Coder, plain: Bytes) -> bytes | None:
    # Its C code crashes on sizes that are not multiples of 4.
    if len(plain) < _ZIPNN_LEAST or len(plain) % 4:
        return None
    # zipnn changes its input buffer, so it gets a copy.
    packed = bytes(_zipnn(coder.dtype).compress(bytearray(plain)))
    # It may fail for NaN and for few numbers: use it only if decoding restores the input.
    if len(packed) >= len(plain) or not np.array_equal(_decode_zipnn(packed, len(plain)), plain):
        return None
    return packed


def _decode_zipnn(packed: bytes, size: int) -> Bytes:
    # Its C code trusts its input: check lengths first; the container has already checked its checksum.
    if len(packed) < _ZIPNN_HEADER or int.from_bytes(packed[16:24], "little") != size:
        raise ValueError("a zipnn stream does not have the expected size")
    return np.frombuffer(_zipnn("float32").decompress(packed), np.uint8)


def _decode_raw(packed: bytes, _size: int) -> Bytes:
    return np.frombuffer(packed, np.uint8)


_ENCODERS: Final[dict[int, Callable[[Coder, Bytes], bytes | None]]] = {
    RAW: lambda _coder, _plain: None,
    ZSTD: _encode_zstd,
    DEFLATE: lambda _coder, plain: _encode_deflate(plain),
    RANS: lambda _coder, plain: rans.encode(plain),
    ZIPNN: _encode_zipnn,
}
_DECODERS: Final[dict[int, Callable[[bytes, int], Any]]] = {
    RAW: _decode_raw,
    ZSTD: _decode_zstd,
    HUFFMAN: huffman.decode,
    RANS: rans.decode,
    ZIPNN: _decode_zipnn,
    DEFLATE: _decode_deflate,
}
