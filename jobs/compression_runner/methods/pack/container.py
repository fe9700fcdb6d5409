"""The file format of the tensor-aware codecs, docs/methods/pack.md: blocks that each tell how to undo them.

Numbers are little-endian. A file is the magic, blocks, and an end:

    magic   89 'C' 'P' 'K' 0D 0A 1A 0A, then the version, a byte: 1
    block   u32 length of the body; body; u32 CRC-32 of length and body
    body    u8 flags of `transforms`; u8 width of a number; varint bytes of a row, 0 without ROWS and GRID; varint plain
            bytes; for each stream u8 coder, varint plain bytes, varint packed bytes; then the packed streams. A varint
            has 7 bits in each byte, the lowest first, and the highest bit set in all but the last.
    end     u32 FFFFFFFF; u64 plain bytes of all blocks; sha256 of all plain bytes; u32 CRC-32 of the end so far
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from compression_runner.methods.pack import transforms
from compression_runner.methods.pack.coders import Coder, decode

MAGIC: Final = b"\x89CPK\r\n\x1a\n"
VERSION: Final = 1
CHUNK: Final = 4 << 20
"""Plain bytes of a block, at most."""

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
    streams = transforms.split(plain, recipe.width, recipe.flags, row)
    headers, packed = [bytes([recipe.flags, recipe.width]), _varint(row), _varint(len(plain))], []
    for index, stream in enumerate(streams):
        coder, content = recipe.coder.encode(stream, _contexts(recipe.flags, index, streams))
        headers += [bytes([coder]), _varint(len(stream)), _varint(len(content))]
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
        flags, width = body[0], body[1]
        row, at = _read_varint(body, 2)
        size, at = _read_varint(body, at)
        if size > CHUNK or not transforms.fits(width, flags, row, size):
            raise ValueError("a block's header makes no sense")
        headers = []
        for _ in range(transforms.stream_count(width, flags)):
            coder = body[at]
            plain, at = _read_varint(body, at + 1)
            packed, at = _read_varint(body, at)
            headers.append((coder, plain, packed))
        streams: list[transforms.Bytes] = []
        for index, (coder, plain, packed) in enumerate(headers):
            if plain > size or at + packed > len(body):
                raise ValueError("a stream is longer than its block")
            streams.append(decode(coder, body[at : at + packed], plain, _contexts(flags, index, streams)))
            at += packed
        if at != len(body):
            raise ValueError("its streams do not fill a block")
        content = transforms.join(streams, size, width, flags, row)
        if len(content) != size:
            raise ValueError("its streams are not as many bytes as it says")
        return content
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise Damaged(f"a block cannot be read: {error}") from error


def _contexts(flags: int, index: int, streams: Sequence[transforms.Bytes]) -> transforms.Bytes | None:
    """What the stream of that index is coded in the context of: the numbers of a grid, of its classes."""
    return transforms.grid_contexts(streams[0], streams[1]) if flags & transforms.GRID and index == 2 else None


def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 127:
        low.append(number & 127 | 128)
        number >>= 7
    return bytes([*low, number])


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        number |= (body[at] & 127) << shift
        at += 1
        if body[at - 1] < 128:
            return number, at
    raise ValueError("a number in a block is too long")
