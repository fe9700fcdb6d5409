"""Sizes and speeds, in memory and from file to file; a speed is that of the fastest of some rounds, in turn."""

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
from compression_runner.methods.pack.codecs import CODECS, Damaged, compress, decompress
from compression_runner.methods.pack.spans import Span, spans_of
from compressionjob.methods.pack import DEFAULT_LEVELS


@dataclass
class Contender:
    """One way to pack, and what was measured of it: bytes before and after, and the fewest seconds each way."""

    pack: Callable[[], int]
    unpack: Callable[[], object]
    plain: int
    prepare: Callable[[], object] = lambda: None
    check: Callable[[], bool] = lambda: True
    packed: int = 0
    pack_seconds: list[float] = field(default_factory=list)
    unpack_seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """One round. CPU seconds: both sides run on one thread, and what else the machine does counts for neither."""
        self.prepare()
        began = time.process_time()
        self.packed = self.pack()
        packed = time.process_time()
        self.unpack()
        unpacked = time.process_time()
        self.pack_seconds.append(packed - began)
        self.unpack_seconds.append(unpacked - packed)
        if not self.check():
            raise ValueError("what was packed did not come back")

    @property
    def figures(self) -> dict[str, float]:
        """Ratio, and megabytes a second of plain bytes."""
        return {
            "ratio": round(self.plain / self.packed, 4),
            "packMBps": round(self.plain / min(self.pack_seconds) / 1e6, 1),
            "unpackMBps": round(self.plain / min(self.unpack_seconds) / 1e6, 1),
        }


class InMemory:
    """A file's bytes as what a codec packs. Not hashed: the library that is compared does not hash either."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def sample(self, start: int, size: int) -> bytes:
        """Some bytes."""
        here = self._file.tell()
        self._file.seek(start)
        content = self._file.read(size)
        self._file.seek(here)
        return content

    def sha256(self) -> bytes:
        """No digest."""
        return bytes(hashlib.sha256().digest_size)


def weights_of(artifact: Artifact) -> tuple[File, list[Span]]:
    """The one weight file, and its spans."""
    (file,) = [file for file in artifact.files if file.weights]
    return file, spans_of(artifact)[file.path]


def file_to_file(artifact: Artifact, codec: str, work: Path) -> Contender:
    """As the stage does it: read, checksum, pack, write; then read, unpack, checksum."""
    file, spans = weights_of(artifact)
    target = work / "packed"
    found: list[object] = []

    def pack() -> int:
        source = artifact.path / file.path
        found[:] = [compress(CODECS[codec], DEFAULT_LEVELS.get(codec), source, target, spans, lambda _count: None)]
        return target.stat().st_size

    def unpack() -> None:
        found.append(decompress(CODECS[codec], target, None))

    return Contender(pack, unpack, file.size, check=lambda: found == [file.sha256, (file.size, file.sha256)])


def in_memory(artifact: Artifact, codec: str) -> Contender:
    """The codec alone: with its block checksums, without files, and packing without sha256."""
    file, spans = weights_of(artifact)
    content = (artifact.path / file.path).read_bytes()
    sink = io.BytesIO()
    found: list[bytes] = []

    def prepare() -> None:
        sink.seek(0)
        sink.truncate()

    def pack() -> int:
        source = InMemory(content)
        CODECS[codec].pack(source, spans, sink, DEFAULT_LEVELS.get(codec, 0))
        return sink.tell()

    def unpack() -> None:
        sink.seek(0)
        # The end has no sha256 to compare, which is said after the last block.
        with contextlib.suppress(Damaged):
            found[:] = []
            found.extend(CODECS[codec].unpack(sink))

    return Contender(pack, unpack, file.size, prepare, lambda: b"".join(found) == content)


def zipnn_itself(artifact: Artifact, dtype: str) -> Contender:
    """zipnn's own way: the bytes of all float tensors at once, in memory, on one thread.

    It turns bits in the buffer that it is given, so each round has a new copy, which is not timed.
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

    return Contender(
        pack, unpack, len(content), lambda: copies.append(bytearray(content)), lambda: bytes(kept[1]) == content
    )


def refusal(artifact: Artifact) -> str:
    """What zipnn says of a tensor of integers."""
    file, spans = weights_of(artifact)
    span = next(span for span in spans if span.dtype == "INT8")
    content = bytearray((artifact.path / file.path).read_bytes()[span.start : span.end])
    try:
        zipnn.ZipNN(input_format="torch", threads=1).compress(torch.frombuffer(content, dtype=torch.int8))
    except (ValueError, SystemExit) as error:
        return str(error)
    return ""
