"""The lossless codecs, as streams in the codecs' own file formats: zstd, lz4 and gzip's tools read them too."""

import gzip
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import lz4.frame
import zstandard

BLOCK: Final = 1 << 20


class Damaged(Exception):
    """Packed bytes that their codec cannot read."""


@dataclass(frozen=True)
class Codec:
    """How files of one codec end, and how a stream is opened for writing (at a level) and for reading."""

    suffix: str
    writer: Callable[[IO[bytes], int], Any]
    reader: Callable[[IO[bytes]], Any]
    errors: tuple[type[Exception], ...]


def _zstd_writer(sink: IO[bytes], level: int) -> Any:
    # One thread: more of them split the stream by their number, and the same input would get another digest.
    return zstandard.ZstdCompressor(level=level, write_checksum=True, threads=0).stream_writer(sink, closefd=False)


def _zstd_reader(source: IO[bytes]) -> Any:
    return zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True, closefd=False)


def _lz4_writer(sink: IO[bytes], level: int) -> Any:
    return lz4.frame.LZ4FrameFile(sink, "wb", compression_level=level, content_checksum=True)


def _lz4_reader(source: IO[bytes]) -> Any:
    return lz4.frame.LZ4FrameFile(source, "rb")


def _gzip_writer(sink: IO[bytes], level: int) -> Any:
    # No name and no time in the header, so that the same input has the same digest.
    return gzip.GzipFile("", "wb", compresslevel=level, fileobj=sink, mtime=0)


def _gzip_reader(source: IO[bytes]) -> Any:
    return gzip.GzipFile(fileobj=source, mode="rb")


CODECS: Final[dict[str, Codec]] = {
    "zstd": Codec(".zst", _zstd_writer, _zstd_reader, (zstandard.ZstdError,)),
    "lz4": Codec(".lz4", _lz4_writer, _lz4_reader, (RuntimeError, EOFError)),
    "gzip": Codec(".gz", _gzip_writer, _gzip_reader, (OSError, EOFError)),
}


def compress(codec: Codec, level: int, source: Path, target: Path, advance: Callable[[int], None]) -> str:
    """Packs one file in blocks, and returns the sha256 of what was packed."""
    digest = hashlib.sha256()
    with source.open("rb") as plain, target.open("wb") as sink, codec.writer(sink, level) as writer:
        while block := plain.read(BLOCK):
            digest.update(block)
            writer.write(block)
            advance(len(block))
    return digest.hexdigest()


def decompress(codec: Codec, source: Path, target: Path | None) -> tuple[int, str]:
    """Unpacks one file in blocks (nowhere, if `target` is None), and returns its size and sha256.

    Raises Damaged where the packed bytes are not what the codec wrote.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as packed, _sink(target) as write:
        for block in _blocks(codec, packed, source):
            size += len(block)
            digest.update(block)
            write(block)
    return size, digest.hexdigest()


def _blocks(codec: Codec, packed: IO[bytes], source: Path) -> Iterator[bytes]:
    try:
        with codec.reader(packed) as reader:
            while block := reader.read(BLOCK):
                yield block
    except codec.errors as error:
        raise Damaged(f"{source.name} is damaged: {error}") from error


@contextmanager
def _sink(target: Path | None) -> Iterator[Callable[[bytes], object]]:
    if target is None:
        yield lambda _block: None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        yield file.write
