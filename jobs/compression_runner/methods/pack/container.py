"""The file format of the tensor-aware codecs, docs/methods/pack.md: blocks that each tell how to undo them.

Numbers are little-endian. A file is the magic, blocks, and an end:

    magic   89 'C' 'P' 'K' 0D 0A 1A 0A, then the version, a byte: 1
    block   u32 length of the body; body; u32 CRC-32 of length and body
    body    u8 flags of `transforms`; u8 width of a number; u32 bytes of a row, 0 without ROWS and GRID; u32 plain
            bytes; for each stream u8 coder, u32 plain bytes, u32 packed bytes; then the packed streams
    end     u32 FFFFFFFF; u64 plain bytes of all blocks; sha256 of all plain bytes; u32 CRC-32 of the end so far
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from compression_runner.methods.pack import transforms
from compression_runner.methods.pack.coders import Coder, decode

MAGIC: Final = b"\x89CPK\r\n\x1a\n"
VERSION: Final = 1
CHUNK: Final = 4 << 20
"""Plain bytes of a block, at most."""

_BODY: Final = struct.Struct("<BBII")
_STREAM: Final = struct.Struct("<BII")
_WORD: Final = struct.Struct("<I")
_END: Final = struct.Struct("<IQ32s")
_END_MARK: Final = 0xFFFFFFFF
_LARGEST: Final = CHUNK + 4096
"""No body is longer: streams that would grow are stored as they are."""


class Damaged(Exception):
    """Packed bytes that their codec cannot read."""


@dataclass(frozen=True)
class Recipe:
    """How a span is packed: taken apart by width and flags, then each stream coded."""

    coder: Coder
    width: int = 1
    flags: int = 0


def head() -> bytes:
    """What a file begins with."""
    return MAGIC + bytes([VERSION])


def block(recipe: Recipe, plain: bytes, row: int) -> bytes:
    """One chunk, packed and framed. Its length is a multiple of the recipe's width, and with ROWS or GRID of `row`."""
    row = row if recipe.flags & (transforms.ROWS | transforms.GRID) else 0
    headers, packed = [_BODY.pack(recipe.flags, recipe.width, row, len(plain))], []
    for stream in transforms.split(plain, recipe.width, recipe.flags, row):
        coder, content = recipe.coder.encode(stream)
        headers.append(_STREAM.pack(coder, len(stream), len(content)))
        packed.append(content)
    body = b"".join(headers + packed)
    length = _WORD.pack(len(body))
    return b"".join([length, body, _WORD.pack(zlib.crc32(body, zlib.crc32(length)))])


def end(size: int, sha256: bytes) -> bytes:
    """What a file of `size` plain bytes ends with."""
    content = _END.pack(_END_MARK, size, sha256)
    return content + _WORD.pack(zlib.crc32(content))


def read(source: IO[bytes]) -> Iterator[bytes]:
    """The plain bytes of a packed file, chunk by chunk.

    Raises Damaged where it is not complete or not as it was written; chunks that came before were as they should be.
    """
    if source.read(len(MAGIC)) != MAGIC:
        raise Damaged("it does not begin like a packed file")
    version = source.read(1)
    if version != bytes([VERSION]):
        raise Damaged(f"it is of version {version[0] if version else 'none'}, and this reads version {VERSION}")
    size, digest = 0, hashlib.sha256()
    while (length := _exactly(source, _WORD.size)) != _WORD.pack(_END_MARK):
        plain = _unpacked(_body(source, length))
        size += len(plain)
        digest.update(plain)
        yield plain
    expected = end(size, digest.digest())
    if length + _exactly(source, len(expected) - len(length)) != expected:
        raise Damaged("size and sha256 at its end are not those of what it holds")
    if source.read(1):
        raise Damaged("bytes follow its end")


def _exactly(source: IO[bytes], count: int) -> bytes:
    content = source.read(count)
    if len(content) != count:
        raise Damaged("it breaks off")
    return content


def _body(source: IO[bytes], length: bytes) -> bytes:
    (count,) = _WORD.unpack(length)
    if count > _LARGEST:
        raise Damaged(f"a block of {count} bytes is longer than any can be")
    body = _exactly(source, count)
    if _exactly(source, _WORD.size) != _WORD.pack(zlib.crc32(body, zlib.crc32(length))):
        raise Damaged("a block does not have its checksum")
    return body


def _unpacked(body: bytes) -> bytes:
    """A body whose checksum is right may still be one that was made wrong: nothing in it is believed."""
    try:
        flags, width, row, size = _BODY.unpack_from(body)
        if size > CHUNK or not transforms.fits(width, flags, row, size):
            raise ValueError("a block's header makes no sense")
        at = _BODY.size
        headers = []
        for _ in range(transforms.stream_count(width, flags)):
            headers.append(_STREAM.unpack_from(body, at))
            at += _STREAM.size
        streams = []
        for coder, plain, packed in headers:
            if plain > size or at + packed > len(body):
                raise ValueError("a stream is longer than its block")
            streams.append(decode(coder, body[at : at + packed], plain))
            at += packed
        if at != len(body):
            raise ValueError("its streams do not fill a block")
        return transforms.join(streams, size, width, flags, row)
    except (ValueError, IndexError, ZeroDivisionError, struct.error) as error:
        raise Damaged(f"a block cannot be read: {error}") from error
