"""The lossless codecs: zstd, lz4, gzip and bzip2 in their own tools' file formats, the others in containers."""

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

from compression_runner.methods.pack import choosing, container
from compression_runner.methods.pack.container import Damaged
from compression_runner.methods.pack.spans import Span

BLOCK: Final = 1 << 20
FEW: Final = 2048
"""Packed bytes that zstd gets at once: four of them may become 128 KiB."""

__all__ = ["CODECS", "Codec", "Damaged", "Plain", "compress", "decompress"]


class Plain(Protocol):
    """A file to pack: read in order once, with a look ahead wherever one is wanted."""

    def read(self, size: int) -> bytes:
        """The next bytes."""

    def sample(self, start: int, size: int) -> bytes:
        """Some bytes; what is read next stays the same."""

    def sha256(self) -> bytes:
        """The digest of what was read."""


@dataclass(frozen=True)
class Codec:
    """How files of one codec end, how one is written (at a level), and how it is read, block by block."""

    suffix: str
    pack: Callable[[Plain, Sequence[Span], IO[bytes], int], None]
    unpack: Callable[[IO[bytes]], Iterator[bytes]]


def compress(
    codec: Codec, level: int | None, source: Path, target: Path, spans: Sequence[Span], advance: Callable[[int], None]
) -> str:
    """Packs one file in blocks, and returns the sha256 of what was packed. `spans` cover it in order."""
    with source.open("rb") as file, target.open("wb") as sink:
        plain = _File(file, advance)
        codec.pack(plain, spans, sink, level or 0)
    return plain.sha256().hex()


def decompress(codec: Codec, source: Path, target: Path | None) -> tuple[int, str]:
    """Unpacks one file in blocks (nowhere, if `target` is None), and returns its size and sha256.

    Raises Damaged where the packed bytes are not what the codec wrote.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as packed, _sink(target) as write:
        try:
            for block in codec.unpack(packed):
                size += len(block)
                digest.update(block)
                write(block)
        except Damaged as error:
            raise Damaged(f"{source.name} is damaged: {error}") from error
    return size, digest.hexdigest()


class _File:
    """An open file as Plain."""

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
        here = self._file.tell()
        self._file.seek(start)
        block = self._file.read(size)
        self._file.seek(here)
        return block

    def sha256(self) -> bytes:
        return self._digest.digest()


Pack = Callable[[Plain, Sequence[Span], IO[bytes], int], None]
Unpack = Callable[[IO[bytes]], Iterator[bytes]]


def _written_by(writer: Callable[[IO[bytes], int], Any]) -> Pack:
    """How a codec packs whose library has files to write to."""

    def pack(plain: Plain, _spans: Sequence[Span], sink: IO[bytes], level: int) -> None:
        with writer(sink, level) as packing:
            while block := plain.read(BLOCK):
                packing.write(block)

    return pack


def _read_by(reader: Callable[[IO[bytes]], Any], *errors: type[Exception]) -> Unpack:
    """How a codec unpacks whose library has files to read from; `errors` are what it raises for damaged ones."""

    def unpack(packed: IO[bytes]) -> Iterator[bytes]:
        try:
            with reader(packed) as reading:
                while block := reading.read(BLOCK):
                    yield block
        except errors as error:
            raise Damaged(str(error)) from error

    return unpack


def _container(choose: Callable[[int], choosing.Choose]) -> Codec:
    """A codec that knows tensors; `choose` gives at a level what finds the recipe of each span."""

    def pack(plain: Plain, spans: Sequence[Span], sink: IO[bytes], level: int) -> None:
        sink.write(container.head())
        size = 0
        for span in spans:
            recipe = choose(level)(span, plain.sample)
            left, step = span.length, choosing.chunk_size(span, recipe)
            while left:
                chunk = plain.read(min(left, step))
                if not chunk:
                    raise OSError(f"the file ends {left} bytes before its size when the stage began")
                sink.write(container.block(recipe, chunk, span.row))
                left -= len(chunk)
                size += len(chunk)
        sink.write(container.end(size, plain.sha256()))

    return Codec(".cpk", pack, container.read)


def _zstd_writer(sink: IO[bytes], level: int) -> Any:
    # One thread: more of them split the stream by their number, and the same input would get another digest.
    return zstandard.ZstdCompressor(level=level, write_checksum=True, threads=0).stream_writer(sink, closefd=False)


def _unpack_zstd(packed: IO[bytes]) -> Iterator[bytes]:
    # Not the library's stream_reader: to that, a file that breaks off is one that ends.
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        while block := packed.read(FEW):
            if plain := frame.decompress(block):
                yield plain
            if frame.eof:
                break
    except zstandard.ZstdError as error:
        raise Damaged(str(error)) from error
    if not frame.eof:
        raise Damaged("it breaks off")
    if frame.unused_data or packed.read(1):
        raise Damaged("bytes follow its end")


def _lz4_writer(sink: IO[bytes], level: int) -> Any:
    return lz4.frame.LZ4FrameFile(sink, "wb", compression_level=level, content_checksum=True)


def _lz4_reader(source: IO[bytes]) -> Any:
    return lz4.frame.LZ4FrameFile(source, "rb")


def _gzip_writer(sink: IO[bytes], level: int) -> Any:
    # No name and no time in the header, so that the same input has the same digest.
    return gzip.GzipFile("", "wb", compresslevel=level, fileobj=sink, mtime=0)


def _gzip_reader(source: IO[bytes]) -> Any:
    return gzip.GzipFile(fileobj=source, mode="rb")


def _bzip2_writer(sink: IO[bytes], level: int) -> Any:
    return bz2.BZ2File(sink, "wb", compresslevel=level)


def _bzip2_reader(source: IO[bytes]) -> Any:
    return bz2.BZ2File(source, "rb")


CODECS: Final[dict[str, Codec]] = {
    "zstd": Codec(".zst", _written_by(_zstd_writer), _unpack_zstd),
    "lz4": Codec(".lz4", _written_by(_lz4_writer), _read_by(_lz4_reader, RuntimeError, EOFError)),
    "gzip": Codec(".gz", _written_by(_gzip_writer), _read_by(_gzip_reader, OSError, EOFError, zlib.error)),
    "bzip2": Codec(".bz2", _written_by(_bzip2_writer), _read_by(_bzip2_reader, OSError, EOFError)),
    "zipnn": _container(lambda _level: choosing.by_zipnn),
    "byte-plane": _container(choosing.by_planes),
    "huffman": _container(lambda _level: choosing.by_huffman),
    "auto": _container(lambda _level: choosing.by_trial),
}


@contextmanager
def _sink(target: Path | None) -> Iterator[Callable[[bytes], object]]:
    if target is None:
        yield lambda _block: None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        yield file.write
