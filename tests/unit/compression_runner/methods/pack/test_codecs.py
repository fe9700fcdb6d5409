"""All codecs on whole files: exact, deterministic, and no wrong bytes from damaged files."""

import bz2
import gzip
import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression_runner.artifact import is_weights, load, seal
from compression_runner.methods.pack import container
from compression_runner.methods.pack.codecs import CODECS, DamagedFile, compress, decompress
from compression_runner.methods.pack.spans import Span, fill_gaps, spans_of
from compression_runner.methods.pack.unpacking import unpack
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.methods.pack import DEFAULT_LEVELS, Pack
from tests.support import tiny_models

CONTAINERS = [name for name, codec in CODECS.items() if codec.suffix == ".cpk"]


def pack(codec: str, plain: Path, spans: list[Span] | None = None) -> Path:
    target = plain.with_name(f"{plain.name}.{codec}")
    parts = fill_gaps(spans or [], plain.stat().st_size)
    compress(CODECS[codec], DEFAULT_LEVELS.get(codec), plain, target, parts, lambda _count: None)
    return target


def unpacked(codec: str, packed: Path) -> bytes:
    target = packed.with_name("unpacked")
    decompress(CODECS[codec], packed, target)
    return target.read_bytes()


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Span]]:
    """Return a file with text, float32, bfloat16, sparse float32, int8 by rows, and int64."""
    random = np.random.default_rng(4)
    weights = random.normal(0, 0.05, (96, 160)).astype("<f4")
    sparse = np.where(random.random((64, 64)) < 0.9, 0, random.normal(size=(64, 64))).astype("<f4")
    halves = (random.normal(0, 0.02, (80, 96)).astype("<f4").view("<u4") >> 16).astype("<u2")
    small = np.clip(random.normal(0, np.linspace(3, 40, 70)[:, None], (70, 256)), -127, 127).astype(np.int8)
    pieces: list[tuple[bytes, int, bool, int, str]] = [
        (b'{"text": "before the tensors"}', 1, False, 0, ""),
        (weights.tobytes(), 4, True, 640, "F32"),
        (halves.tobytes(), 2, True, 192, "BF16"),
        (b"\0" * 7, 1, False, 0, ""),
        (sparse.tobytes(), 4, True, 256, "F32"),
        (small.tobytes(), 1, False, 256, "INT8"),
        (np.arange(512, dtype="<i8").tobytes(), 8, False, 0, "I64"),
    ]
    place = tmp_path_factory.mktemp("floats") / "model.bin"
    place.write_bytes(b"".join(content for content, *_ in pieces))
    spans, at = [], 0
    for content, width, floating, row, dtype in pieces:
        if dtype:
            spans.append(Span(at, len(content), width, floating, row, dtype))
        at += len(content)
    return place, spans


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_of_tensors_is_restored_and_packed_deterministically(
    floats: tuple[Path, list[Span]], codec: str, tmp_path: Path
) -> None:
    plain = tmp_path / "model.bin"
    plain.write_bytes(floats[0].read_bytes())
    packed = pack(codec, plain, floats[1])
    once = packed.read_bytes()
    assert unpacked(codec, packed) == plain.read_bytes()
    assert pack(codec, plain, floats[1]).read_bytes() == once
    assert len(once) < len(plain.read_bytes())


def test_auto_is_the_smallest(floats: tuple[Path, list[Span]]) -> None:
    sizes = {codec: pack(codec, *floats).stat().st_size for codec in CODECS}
    assert sizes["auto"] == min(sizes.values())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("content", [b"", b"\0", b"abc", b"\xff" * 70_001], ids=len)
def test_empty_and_odd_files_are_restored(codec: str, content: bytes, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(content)
    assert unpacked(codec, pack(codec, plain)) == content


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=9000), cut=st.integers(0, 9000), width=st.sampled_from([1, 2, 4, 8]))
def test_any_bytes_are_restored_with_any_type(codec: str, content: bytes, cut: int, width: int, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(content)
    start = min(cut, len(content))
    length = (len(content) - start) // width * width
    names = {1: "INT8", 2: "BF16", 4: "F32", 8: "I64"}
    spans = [Span(start, length, width, width in (2, 4), 0, names[width])] if length >= 1024 else []
    assert unpacked(codec, pack(codec, plain, spans)) == content


def test_long_files_are_packed_in_blocks(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(np.random.default_rng(1).normal(size=1_300_000).astype("<f4").tobytes())
    packed = pack("auto", plain, [Span(0, 5_200_000, 4, True, 520, "F32")])
    assert unpacked("auto", packed) == plain.read_bytes()
    with packed.open("rb") as file:
        assert max(len(block) for block in container.read(file)) <= container.CHUNK


@pytest.mark.parametrize(
    ("codec", "read"),
    [
        ("zstd", lambda content: zstandard.ZstdDecompressor().stream_reader(content).read()),
        ("lz4", lz4.frame.decompress),
        ("gzip", gzip.decompress),
        ("bzip2", bz2.decompress),
    ],
)
def test_files_of_common_codecs_are_standard_files(
    codec: str, read: Callable[[bytes], bytes], floats: tuple[Path, list[Span]]
) -> None:
    assert read(pack(codec, *floats).read_bytes()) == floats[0].read_bytes()


OWN_WORDS = re.compile(
    "it does not begin with|it has version|it is truncated|its content is no output of its codec|bytes follow its end|"
    "a block of|the checksum of a block|the content of a block|size and sha256"
)
"""What is said of a damaged file; the text of a library's error is never the message."""


@pytest.mark.parametrize("codec", CODECS)
def test_changed_and_truncated_files_never_give_wrong_bytes(codec: str, tmp_path: Path) -> None:
    """gzip has unused bytes in its header: a flip there must not change the content."""
    plain = tmp_path / "plain"
    content = (np.random.default_rng(2).normal(0, 0.05, 300).astype("<f4")).tobytes()
    plain.write_bytes(content)
    packed = pack(codec, plain, [Span(0, 1200, 4, True, 0, "F32")]).read_bytes()
    messages = set()
    for at in range(len(packed)):
        flipped = bytearray(packed)
        flipped[at] ^= 0x41
        try:
            restored = b"".join(CODECS[codec].unpack(io.BytesIO(flipped)))
        except DamagedFile as error:
            messages.add(str(error))
            continue
        assert codec not in CONTAINERS
        assert restored == content
    assert [text for text in messages if not OWN_WORDS.match(text)] == []
    for length in range(len(packed)):
        try:
            restored = b"".join(CODECS[codec].unpack(io.BytesIO(packed[:length])))
        except DamagedFile:
            continue
        # Some libraries accept an empty file; artifact.json has the right size.
        assert codec not in CONTAINERS
        assert (length, restored) == (0, b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda packed: b"PK" + packed[2:], "does not begin"),
        (lambda packed: packed[:8] + b"\x02" + packed[9:], "version 2"),
        (lambda packed: packed + b"x", "follow its end"),
        (lambda packed: packed[:-10], "is truncated"),
        (lambda packed: packed[:9] + struct.pack("<I", 1 << 30) + packed[13:], "longer than the maximum"),
        (lambda packed: packed[:9] + container.end(0, bytes(32)), "do not match its content"),
    ],
)  # fmt: skip
def test_errors_of_the_container_state_the_cause(
    change: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(range(256)) * 20)
    packed = pack("auto", plain)
    packed.write_bytes(change(packed.read_bytes()))
    with pytest.raises(DamagedFile, match=message):
        decompress(CODECS["auto"], packed, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes([0, 1, 0, 4]),
        bytes([0, 3, 0, 4, 0, 4, 4]) + b"abcd",
        bytes([0, 1, 0, 4, 7, 4, 4]) + b"abcd",
        bytes([0, 1, 0, 4, 0, 4, 5]) + b"abcd",
        bytes([0, 1, 0, 4, 0, 4, 4]) + b"abcde",
        bytes([0, 1, 0, 5, 0, 4, 4]) + b"abcd",
        bytes([0, 1, 0, 255, 255, 255, 255, 255, 1]) + b"abcd",
        bytes([8, 1, 2, 4, 0, 1, 1, 0, 2, 2, 0, 4, 4]) + b"aabcabc",
        bytes([8, 1, 0, 4, 0, 4, 4]) + b"abcd",
    ],
)
def test_malformed_blocks_with_a_right_checksum_are_refused(body: bytes, tmp_path: Path) -> None:
    length = struct.pack("<I", len(body))
    frame = length + body + struct.pack("<I", zlib.crc32(length + body))
    (tmp_path / "forged").write_bytes(container.head() + frame + container.end(4, bytes(32)))
    with pytest.raises(DamagedFile, match=r"is damaged: (the content of a block|size and sha256) "):
        decompress(CODECS["auto"], tmp_path / "forged", None)


def test_spans_cover_the_tensors_of_safetensors_and_graphs(tmp_path: Path) -> None:
    directory = seal(tiny_models.bert(tmp_path / "bert", hidden=64), "transformers", "text-embedding")
    graph = seal(tiny_models.perceptron(tmp_path / "graph"), "onnx", "onnx")
    beside = tiny_models.perceptron(tmp_path / "beside", external=True)
    for artifact, dtype in (
        (directory, "F32"),
        (graph, "FLOAT"),
        (seal(beside, "onnx", "onnx", weights={"model.onnx", "weights"}), "FLOAT"),
    ):
        spans_by_path = spans_of(artifact)
        sizes = {file.path: file.size for file in artifact.files if file.weights}
        assert {path: sum(span.length for span in spans) for path, spans in spans_by_path.items()} == sizes
        for spans in spans_by_path.values():
            assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
        tensors = [(path, span) for path, spans in spans_by_path.items() for span in spans if span.dtype == dtype]
        assert tensors
        for path, span in tensors:
            content = (artifact.path / path).read_bytes()[span.start : span.end]
            assert np.abs(np.frombuffer(content, "<f4")).max() < 10


def test_a_file_with_a_bad_header_is_packed_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no header")
    assert spans_of(seal(tmp_path, "transformers", "text-embedding")) == {"model.safetensors": [Span(0, 9)]}


@pytest.mark.parametrize("codec", CODECS)
def test_the_stage_packs_weights_and_unpack_restores_them(codec: Any, tmp_path: Path) -> None:
    source = seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding")
    (tmp_path / "packed").mkdir()
    context = StageContext(tmp_path / "packed", "spec.pipeline[0].pack")
    packed = METHODS["pack", ""].run(source, Pack(codec=codec), context).artifact
    (counted,) = [file.path for file in packed.files if file.weights]
    assert counted == f"model.safetensors{CODECS[codec].suffix}"
    assert is_weights(counted)
    assert unpack(load(packed.path), tmp_path / "restored").digest == source.digest
    assert json.loads((packed.path / "artifact.json").read_text())["packing"]["codec"] == codec
