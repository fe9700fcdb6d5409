"""Huffman, rANS and the other coders of one stream: exact on any bytes, near the theoretical size, and robust."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compression_runner.methods.pack import coders, huffman, rans
from compression_runner.methods.pack.coders import Coder

Bytes = NDArray[np.uint8]

CODERS = [
    Coder(coders.RAW),
    Coder(coders.ZSTD),
    Coder(coders.ZSTD, 3),
    Coder(coders.DEFLATE),
    Coder(coders.RANS),
    Coder(coders.ZIPNN, dtype="float32"),
    Coder(coders.ZIPNN, dtype="float16"),
    Coder(coders.ZIPNN, dtype="bfloat16"),
]
SIZES = (0, 1, 2, 255, 512, 2047, 2048, 2049, 40_001)


def skewed(size: int, scale: float) -> Bytes:
    return (np.random.default_rng(size).normal(0, scale, size)).astype(np.int8).view(np.uint8)


def entropy(plain: Bytes) -> float:
    """Return the minimum size in bytes of any code of single bytes."""
    shares = np.bincount(plain)[np.bincount(plain) > 0] / len(plain)
    return float(-(shares * np.log2(shares)).sum()) * len(plain) / 8


@pytest.mark.parametrize("coder", CODERS, ids=lambda coder: f"{coder.number}{coder.dtype}{coder.level}")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_every_coder_restores_its_input_and_never_expands(coder: Coder, size: int, scale: float) -> None:
    plain = skewed(size, scale)
    kept = plain.copy()
    number, packed = coder.encode(plain)
    assert len(packed) <= size
    np.testing.assert_array_equal(coders.decode(number, packed, size), kept)
    np.testing.assert_array_equal(plain, kept, err_msg="the coder changed its input")
    assert coder.encode(plain) == (number, packed)


@given(st.binary(max_size=6000), st.sampled_from(CODERS))
def test_any_bytes_are_restored(content: bytes, coder: Coder) -> None:
    plain = np.frombuffer(content * 3, np.uint8)
    number, packed = coder.encode(plain)
    assert coders.decode(number, packed, len(plain)).tobytes() == content * 3


def test_strided_arrays_are_coded_by_value() -> None:
    plain = skewed(20_000, 3.0)[::2]
    for coder in CODERS:
        number, packed = coder.encode(plain)
        np.testing.assert_array_equal(coders.decode(number, packed, len(plain)), plain)


def test_huffman_streams_of_earlier_versions_are_decoded() -> None:
    """The file was packed by pack version 2."""
    packed = (Path(__file__).parent / "version2.huffman").read_bytes()
    plain = skewed(5000, 4.0)
    np.testing.assert_array_equal(coders.decode(coders.HUFFMAN, packed, len(plain)), plain)
    for damaged in (packed[:100], packed[:-1], packed + b"\0", b"\xff" * 128 + packed[128:]):
        with pytest.raises(ValueError, match="Huffman"):
            coders.decode(coders.HUFFMAN, damaged, len(plain))


def test_canonical_codes_are_ordered() -> None:
    lengths = np.zeros(256, np.uint8)
    lengths[[65, 66, 67, 68]] = 2, 1, 3, 3
    codes = huffman.canonical_codes(lengths)
    assert [int(code) for code in codes[65:69]] == [0b10, 0b0, 0b110, 0b111]
    lengths[69] = 1
    with pytest.raises(ValueError, match="no prefix code"):
        huffman.canonical_codes(lengths)


@pytest.mark.parametrize(("scale", "whole_bits"), [(1.0, 1.13), (5.0, 1.02), (25.0, 1.02)])
def test_huffman_and_rans_are_near_the_entropy(scale: float, whole_bits: float) -> None:
    """Huffman gives each byte whole bits, which costs most where one byte is frequent."""
    plain = skewed(500_000, scale)
    by_rans = rans.encode(plain)
    _, by_huffman = Coder(coders.DEFLATE).encode(plain)
    assert by_rans is not None
    assert len(by_rans) < 1.006 * entropy(plain) + 600
    assert len(by_huffman) < whole_bits * entropy(plain) + 800
    assert rans.estimate(plain) == pytest.approx(len(by_rans), rel=0.01)


@pytest.mark.parametrize("size", [1, 300, 5000, 70_000])
def test_rans_with_contexts_restores_its_input_in_less_space(size: int) -> None:
    contexts = (np.arange(size) * 7 // 3 % 5).astype(np.uint8)
    plain = np.where(contexts < 3, skewed(size, 2.0), skewed(size, 30.0)).astype(np.uint8)
    packed = rans.encode(plain, contexts)
    if packed is None:
        assert size <= 300
        return
    np.testing.assert_array_equal(rans.decode(packed, size, contexts), plain)
    if size > 10_000:
        without = rans.encode(plain)
        assert without is not None
        assert len(packed) < 0.95 * len(without)
        assert rans.estimate(plain, contexts) == pytest.approx(len(packed), rel=0.01)
    with pytest.raises(ValueError, match="context"):
        rans.decode(packed, size, contexts[:-1])
    with pytest.raises(ValueError, match="fewer tables than contexts"):
        rans.decode(packed, size, contexts + 200)


@pytest.mark.parametrize("counts", [[1], [5, 0, 3], [1] * 256, [10**9] + [1] * 255, [0] * 255 + [7]])
def test_frequencies_keep_every_symbol_and_the_sum(counts: list[int]) -> None:
    padded = np.array(counts + [0] * (256 - len(counts)), np.int64)
    scaled = rans.frequencies(padded)
    assert int(scaled.sum()) == rans.SUM
    np.testing.assert_array_equal(scaled > 0, padded > 0)


@pytest.mark.parametrize("number", [coders.ZSTD, coders.DEFLATE, coders.RANS])
def test_broken_streams_raise_at_most_a_value_error(number: int) -> None:
    """Streams that pass the checksum of the container must not crash or hang either."""
    plain = skewed(3000, 4.0)
    used, packed = Coder(number).encode(plain)
    assert used == number
    random = np.random.default_rng(5)
    for _ in range(150):
        broken = bytearray(packed)
        broken[int(random.integers(len(broken)))] ^= int(random.integers(1, 256))
        with_size = [bytes(broken), bytes(broken[: int(random.integers(len(broken)))])]
        for content in with_size:
            try:
                decoded = coders.decode(number, content, len(plain))
            except ValueError:
                continue
            assert len(decoded) == len(plain)


def test_unknown_coders_are_refused() -> None:
    with pytest.raises(ValueError, match="coder 9"):
        coders.decode(9, b"", 0)
