"""The file format of the tensor-aware codecs, docs/methods/pack.md: self-describing blocks.

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

from compression_runner.errors import Problem
from compression_runner.methods.pack import transforms
from compression_runner.methods.pack.coders import Coder, decode

MAGIC: Final = b"\x89CPK\r\n\x1a\n"
VERSION: Final = 1
CHUNK: Final = 4 << 20
"""Maximum plain bytes of a block."""

_WORD: Final = struct.Struct("<I")
_END: Final = struct.Struct("<IQ32s")
_END_MARK: Final = 0xFFFFFFFF
_LARGEST: Final = CHUNK + 4096
"""Maximum bytes of a body: streams that would grow are stored raw."""


class DamagedFile(Problem):
    """The codec cannot read the packed bytes."""


@dataclass(frozen=True)
class Encoding:
    """The encoding of a span: split by width and flags, then a coder for each stream."""

    coder: Coder
    width: int = 1
    flags: int = 0


def head() -> bytes:
    """Return the first bytes of a file."""
    return MAGIC + bytes([VERSION])


def block(encoding: Encoding, plain: bytes, row: int) -> bytes:
    """Return a packed and framed chunk. Its length is a multiple of the width, and with ROWS or GRID of `row`."""
    row = row if encoding.flags & (transforms.ROWS | transforms.GRID) else 0
    streams = transforms.split(plain, encoding.width, encoding.flags, row)
    headers, packed = [bytes([encoding.flags, encoding.width]), _varint(row), _varint(len(plain))], []
    for index, stream in enumerate(streams):
        coder, content = encoding.coder.encode(stream, _contexts(encoding.flags, index, streams))
        headers += [bytes([coder]), _varint(len(stream)), _varint(len(content))]
        packed.append(content)
    body = b"".join(headers + packed)
    length = _WORD.pack(len(body))
    return b"".join([length, body, _WORD.pack(zlib.crc32(body, zlib.crc32(length)))])


def end(size: int, sha256: bytes) -> bytes:
    """Return the last bytes of a file of `size` plain bytes."""
    content = _END.pack(_END_MARK, size, sha256)
    return content + _WORD.pack(zlib.crc32(content))


def read(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of a packed file, chunk by chunk.

    Raises DamagedFile for a truncated or changed file; the chunks before are correct.
    """
    if source.read(len(MAGIC)) != MAGIC:
        raise DamagedFile("it does not begin with the magic bytes of a packed file")
    version = source.read(1)
    if version != bytes([VERSION]):
        raise DamagedFile(f"it has version {version[0] if version else 'none'}; supported is version {VERSION}")
    size, digest = 0, hashlib.sha256()
    while (length := _read_exactly(source, _WORD.size)) != _WORD.pack(_END_MARK):
        plain = _unpack(_body(source, length))
        size += len(plain)
        digest.update(plain)
        yield plain
    expected = end(size, digest.digest())
    if length + _read_exactly(source, len(expected) - len(length)) != expected:
        raise DamagedFile("size and sha256 at its end do not match its content")
    if source.read(1):
        raise DamagedFile("bytes follow its end")


def _read_exactly(source: IO[bytes], count: int) -> bytes:
    content = source.read(count)
    if len(content) != count:
        raise DamagedFile("it is truncated")
    return content


def _body(source: IO[bytes], length: bytes) -> bytes:
    (count,) = _WORD.unpack(length)
    if count > _LARGEST:
        raise DamagedFile(f"a block of {count} bytes is longer than the maximum of {_LARGEST}")
    body = _read_exactly(source, count)
    if _read_exactly(source, _WORD.size) != _WORD.pack(zlib.crc32(body, zlib.crc32(length))):
        raise DamagedFile("the checksum of a block does not match")
    return body


def _unpack(body: bytes) -> bytes:
    """Return the plain bytes of a body. A body with a right checksum may still be malformed, so check all of it."""
    try:
        flags, width = body[0], body[1]
        row, offset = _read_varint(body, 2)
        size, offset = _read_varint(body, offset)
        if size > CHUNK or not transforms.fits(width, flags, row, size):
            raise ValueError("the header of a block is invalid")
        headers = []
        for _ in range(transforms.stream_count(width, flags)):
            coder = body[offset]
            plain, offset = _read_varint(body, offset + 1)
            packed, offset = _read_varint(body, offset)
            headers.append((coder, plain, packed))
        streams: list[transforms.Bytes] = []
        for index, (coder, plain, packed) in enumerate(headers):
            if plain > size or offset + packed > len(body):
                raise ValueError("a stream is longer than its block")
            streams.append(decode(coder, body[offset : offset + packed], plain, _contexts(flags, index, streams)))
            offset += packed
        if offset != len(body):
            raise ValueError("its streams do not fill a block")
        content = transforms.join(streams, size, width, flags, row)
        if len(content) != size:
            raise ValueError("its streams do not have the stated size")
        return content
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise DamagedFile("the content of a block is no output of its coder") from error


def _contexts(flags: int, index: int, streams: Sequence[transforms.Bytes]) -> transforms.Bytes | None:
    """Return the contexts of the stream of this index: those of the numbers of a grid, by their classes."""
    return transforms.grid_contexts(streams[0], streams[1]) if flags & transforms.GRID and index == 2 else None


def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 127:
        low.append(number & 127 | 128)
        number >>= 7
    return bytes([*low, number])


def _read_varint(body: bytes, offset: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        number |= (body[offset] & 127) << shift
        offset += 1
        if body[offset - 1] < 128:
            return number, offset
    raise ValueError("a number in a block is too long")
