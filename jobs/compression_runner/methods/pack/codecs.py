"""The lossless codecs: zstd, lz4, gzip and bzip2 in their standard file formats, the others in containers."""

import bz2
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

import lz4.frame
import zstandard

from compression_runner.methods.pack import container, encoding_choice
from compression_runner.methods.pack.container import DamagedFile
from compression_runner.methods.pack.spans import Span

BLOCK: Final = 1 << 20
ZSTD_INPUT: Final = 2048
"""Packed bytes per call of zstd: four bytes may expand to 128 KiB."""

__all__ = ["CODECS", "Codec", "DamagedFile", "Plain", "compress", "decompress"]


class Plain(Protocol):
    """A file to pack: read in order once, with samples from anywhere."""

    def read(self, size: int) -> bytes:
        """Return the next bytes."""

    def sample(self, start: int, size: int) -> bytes:
        """Return some bytes, without moving the read position."""

    def sha256(self) -> bytes:
        """Return the digest of the bytes read so far."""


@dataclass(frozen=True)
class Codec:
    """The file suffix of a codec, and functions to write a file (at a level) and to read one, block by block."""

    suffix: str
    pack: Callable[[Plain, Sequence[Span], IO[bytes], int], None]
    unpack: Callable[[IO[bytes]], Iterator[bytes]]


def compress(
    codec: Codec, level: int | None, source: Path, target: Path, spans: Sequence[Span], advance: Callable[[int], None]
) -> str:
    """Pack one file in blocks, and return the sha256 of its plain bytes. `spans` cover it in order."""
    with source.open("rb") as file, target.open("wb") as sink:
        plain = _PlainFile(file, advance)
        codec.pack(plain, spans, sink, level or 0)
    return plain.sha256().hex()


def decompress(codec: Codec, source: Path, target: Path | None) -> tuple[int, str]:
    """Unpack one file in blocks (only to verify it, if `target` is None), and return its size and sha256.

    Raises DamagedFile if the packed bytes are not the codec's output.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as packed, _sink(target) as write:
        try:
            for block in codec.unpack(packed):
                size += len(block)
                digest.update(block)
                write(block)
        except DamagedFile as error:
            raise DamagedFile(f"{source.name} is damaged: {error}") from error
    return size, digest.hexdigest()


class _PlainFile:
    """An open file with the interface of `Plain`."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance
        self._digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        self._digest.update(block)
        self._advance(len(block))
        return block

    def sample(self, start: int, size: int) -> bytes:
        position = self._file.tell()
        self._file.seek(start)
        block = self._file.read(size)
        self._file.seek(position)
        return block

    def sha256(self) -> bytes:
        return self._digest.digest()


Pack = Callable[[Plain, Sequence[Span], IO[bytes], int], None]
Unpack = Callable[[IO[bytes]], Iterator[bytes]]


def _file_packer(writer: Callable[[IO[bytes], int], Any]) -> Pack:
    """Return the packer of a codec whose library offers a file object for writing."""

    def pack(plain: Plain, _spans: Sequence[Span], sink: IO[bytes], level: int) -> None:
        with writer(sink, level) as packing:
            while block := plain.read(BLOCK):
                packing.write(block)

    return pack


def _file_unpacker(reader: Callable[[IO[bytes]], Any], *errors: type[Exception]) -> Unpack:
    """Return the unpacker of a codec whose library offers a file object for reading; `errors` mean a damaged file."""

    def unpack(packed: IO[bytes]) -> Iterator[bytes]:
        try:
            with reader(packed) as reading:
                while block := reading.read(BLOCK):
                    yield block
        except errors as error:
            raise DamagedFile("its content is no output of its codec") from error

    return unpack


def _container(choose: Callable[[int], encoding_choice.Choose]) -> Codec:
    """Return a tensor-aware codec; `choose` returns, for a level, the function that chooses the encoding of a span."""

    def pack(plain: Plain, spans: Sequence[Span], sink: IO[bytes], level: int) -> None:
        sink.write(container.head())
        size = 0
        for span in spans:
            encoding = choose(level)(span, plain.sample)
            left, step = span.length, encoding_choice.chunk_size(span, encoding)
            while left:
                chunk = plain.read(min(left, step))
                if not chunk:
                    raise OSError(f"the file is {left} bytes shorter than at the start of the stage")
                sink.write(container.block(encoding, chunk, span.row))
                left -= len(chunk)
                size += len(chunk)
        sink.write(container.end(size, plain.sha256()))

    return Codec(".cpk", pack, container.read)


def _zstd_writer(sink: IO[bytes], level: int) -> Any:
    # One thread: the number of threads would affect how the stream is split, and so the digest.
    return zstandard.ZstdCompressor(level=level, write_checksum=True, threads=0).stream_writer(sink, closefd=False)


def _unpack_zstd(packed: IO[bytes]) -> Iterator[bytes]:
    # Not the library's stream_reader: it accepts truncated files.
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        while block := packed.read(ZSTD_INPUT):
            if plain := frame.decompress(block):
                yield plain
            if frame.eof:
                break
    except zstandard.ZstdError as error:
        raise DamagedFile("its content is no output of its codec") from error
    if not frame.eof:
        raise DamagedFile("it is truncated")
    if frame.unused_data or packed.read(1):
        raise DamagedFile("bytes follow its end")


def _lz4_writer(sink: IO[bytes], level: int) -> Any:
    return lz4.frame.LZ4FrameFile(sink, "wb", compression_level=level, content_checksum=True)


def _lz4_reader(source: IO[bytes]) -> Any:
    return lz4.frame.LZ4FrameFile(source, "rb")


def _gzip_writer(sink: IO[bytes], level: int) -> Any:
    # No name and no time in the header, so that equal input has an equal digest.
    return gzip.GzipFile("", "wb", compresslevel=level, fileobj=sink, mtime=0)


def _gzip_reader(source: IO[bytes]) -> Any:
    return gzip.GzipFile(fileobj=source, mode="rb")


def _bzip2_writer(sink: IO[bytes], level: int) -> Any:
    return bz2.BZ2File(sink, "wb", compresslevel=level)


def _bzip2_reader(source: IO[bytes]) -> Any:
    return bz2.BZ2File(source, "rb")


CODECS: Final[dict[str, Codec]] = {
    "zstd": Codec(".zst", _file_packer(_zstd_writer), _unpack_zstd),
    "lz4": Codec(".lz4", _file_packer(_lz4_writer), _file_unpacker(_lz4_reader, RuntimeError, EOFError)),
    "gzip": Codec(".gz", _file_packer(_gzip_writer), _file_unpacker(_gzip_reader, OSError, EOFError, zlib.error)),
    "bzip2": Codec(".bz2", _file_packer(_bzip2_writer), _file_unpacker(_bzip2_reader, OSError, EOFError)),
    "zipnn": _container(lambda _level: encoding_choice.by_zipnn),
    "byte-plane": _container(encoding_choice.by_planes),
    "huffman": _container(lambda _level: encoding_choice.by_huffman),
    "auto": _container(lambda _level: encoding_choice.by_trial),
}


@contextmanager
def _sink(target: Path | None) -> Iterator[Callable[[bytes], object]]:
    if target is None:
        yield lambda _block: None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        yield file.write
