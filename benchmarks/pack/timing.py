"""Measure sizes and speeds, in memory and from file to file; a speed is that of the fastest round."""

import contextlib
import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import zipnn

from compression_runner.artifact import Artifact, File
from compression_runner.methods.pack.codecs import CODECS, DamagedFile, compress, decompress
from compression_runner.methods.pack.spans import Span, spans_of
from compressionjob.methods.pack import DEFAULT_LEVELS


@dataclass
class PackerUnderTest:
    """A way to pack, with its measured bytes before and after, and the seconds of each round."""

    pack: Callable[[], int]
    unpack: Callable[[], object]
    plain: int
    prepare: Callable[[], object] = lambda: None
    check: Callable[[], bool] = lambda: True
    packed: int = 0
    pack_seconds: list[float] = field(default_factory=list)
    unpack_seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Measure one round in CPU seconds: both sides run on one thread, and other processes do not count."""
        self.prepare()
        began = time.process_time()
        self.packed = self.pack()
        packed = time.process_time()
        self.unpack()
        unpacked = time.process_time()
        self.pack_seconds.append(packed - began)
        self.unpack_seconds.append(unpacked - packed)
        if not self.check():
            raise ValueError("unpacking does not restore the packed bytes")

    @property
    def figures(self) -> dict[str, float]:
        """Ratio, and megabytes of plain bytes per second."""
        return {
            "ratio": round(self.plain / self.packed, 4),
            "packMBps": round(self.plain / min(self.pack_seconds) / 1e6, 1),
            "unpackMBps": round(self.plain / min(self.unpack_seconds) / 1e6, 1),
        }


class InMemory:
    """A file in memory, as a codec's source, without hashes: the compared library does not hash either."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        return self._file.read(size)

    def sample(self, start: int, size: int) -> bytes:
        """Return the bytes at a position, without moving."""
        here = self._file.tell()
        self._file.seek(start)
        content = self._file.read(size)
        self._file.seek(here)
        return content

    def sha256(self) -> bytes:
        """Return an empty digest."""
        return bytes(hashlib.sha256().digest_size)


def weights_of(artifact: Artifact) -> tuple[File, list[Span]]:
    """Return the one weight file, and its spans."""
    (file,) = [file for file in artifact.files if file.weights]
    return file, spans_of(artifact)[file.path]


def file_to_file(artifact: Artifact, codec: str, work: Path) -> PackerUnderTest:
    """Pack and unpack as the stage does: read, checksum, pack, write; then read, unpack, checksum."""
    file, spans = weights_of(artifact)
    target = work / "packed"
    checks: list[object] = []

    def pack() -> int:
        source = artifact.path / file.path
        checks[:] = [compress(CODECS[codec], DEFAULT_LEVELS.get(codec), source, target, spans, lambda _count: None)]
        return target.stat().st_size

    def unpack() -> None:
        checks.append(decompress(CODECS[codec], target, None))

    return PackerUnderTest(pack, unpack, file.size, check=lambda: checks == [file.sha256, (file.size, file.sha256)])


def in_memory(artifact: Artifact, codec: str) -> PackerUnderTest:
    """Pack and unpack with the codec alone: with its block checksums, without files and without sha256."""
    file, spans = weights_of(artifact)
    content = (artifact.path / file.path).read_bytes()
    sink = io.BytesIO()
    blocks: list[bytes] = []

    def prepare() -> None:
        sink.seek(0)
        sink.truncate()

    def pack() -> int:
        source = InMemory(content)
        CODECS[codec].pack(source, spans, sink, DEFAULT_LEVELS.get(codec, 0))
        return sink.tell()

    def unpack() -> None:
        sink.seek(0)
        # The end has no sha256, which raises DamagedFile after the last block.
        with contextlib.suppress(DamagedFile):
            blocks[:] = []
            blocks.extend(CODECS[codec].unpack(sink))

    return PackerUnderTest(pack, unpack, file.size, prepare, lambda: b"".join(blocks) == content)


def zipnn_itself(artifact: Artifact, dtype: str) -> PackerUnderTest:
    """Pack with zipnn: the bytes of all float tensors at once, in memory, on one thread.

    It changes the given buffer, so each round has a new copy, which is not timed.
    """
    file, spans = weights_of(artifact)
    whole = (artifact.path / file.path).read_bytes()
    content = b"".join(whole[span.start : span.end] for span in spans if span.floating)
    copies: list[bytearray] = []
    kept: list[Any] = []

    def pack() -> int:
        kept[:] = [zipnn.ZipNN(bytearray_dtype=dtype, threads=1).compress(copies.pop())]
        return len(kept[0])

    def unpack() -> None:
        kept.append(zipnn.ZipNN(bytearray_dtype=dtype, threads=1).decompress(kept[0]))

    return PackerUnderTest(
        pack, unpack, len(content), lambda: copies.append(bytearray(content)), lambda: bytes(kept[1]) == content
    )


def refusal(artifact: Artifact) -> str:
    """Return zipnn's error for a tensor of integers."""
    file, spans = weights_of(artifact)
    span = next(span for span in spans if span.dtype == "INT8")
    content = bytearray((artifact.path / file.path).read_bytes()[span.start : span.end])
    try:
        zipnn.ZipNN(input_format="torch", threads=1).compress(torch.frombuffer(content, dtype=torch.int8))
    except (ValueError, SystemExit) as error:
        return str(error)
    return ""
