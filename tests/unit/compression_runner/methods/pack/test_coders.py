"""Huffman, rANS and the other coders of one stream: exact on any bytes, near what the theory says, and suspicious."""

import heapq

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
    Coder(coders.HUFFMAN),
    Coder(coders.RANS),
    Coder(coders.ZIPNN, dtype="float32"),
    Coder(coders.ZIPNN, dtype="float16"),
    Coder(coders.ZIPNN, dtype="bfloat16"),
]
SIZES = (0, 1, 2, 255, 512, 2047, 2048, 2049, 40_001)


def skewed(size: int, scale: float) -> Bytes:
    return (np.random.default_rng(size).normal(0, scale, size)).astype(np.int8).view(np.uint8)


def entropy(plain: Bytes) -> float:
    """Bytes that no code of single bytes goes below."""
    shares = np.bincount(plain)[np.bincount(plain) > 0] / len(plain)
    return float(-(shares * np.log2(shares)).sum()) * len(plain) / 8


@pytest.mark.parametrize("coder", CODERS, ids=lambda coder: f"{coder.number}{coder.dtype}{coder.level}")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_every_coder_gives_back_what_it_got_and_never_more_bytes(coder: Coder, size: int, scale: float) -> None:
    plain = skewed(size, scale)
    kept = plain.copy()
    number, packed = coder.encode(plain)
    assert len(packed) <= size
    np.testing.assert_array_equal(coders.decode(number, packed, size), kept)
    np.testing.assert_array_equal(plain, kept, err_msg="the coder changed its input")
    assert coder.encode(plain) == (number, packed)


@given(st.binary(max_size=6000), st.sampled_from(CODERS))
def test_any_bytes_come_back(content: bytes, coder: Coder) -> None:
    plain = np.frombuffer(content * 3, np.uint8)
    number, packed = coder.encode(plain)
    assert coders.decode(number, packed, len(plain)).tobytes() == content * 3


def test_a_stream_that_is_no_contiguous_array_is_coded_by_its_values() -> None:
    plain = skewed(20_000, 3.0)[::2]
    for coder in CODERS:
        number, packed = coder.encode(plain)
        np.testing.assert_array_equal(coders.decode(number, packed, len(plain)), plain)


@given(st.lists(st.integers(0, 1 << 40), min_size=256, max_size=256), st.integers(8, 12))
def test_code_lengths_are_a_prefix_code_within_the_limit(counts: list[int], longest: int) -> None:
    lengths = huffman.code_lengths(np.array(counts), longest)
    used = lengths[np.array(counts) > 0]
    assert (lengths[np.array(counts) == 0] == 0).all()
    if len(used) > 1:
        assert 1 <= used.min() <= used.max() <= longest
        assert sum(2.0 ** -int(length) for length in used) == 1.0


def test_code_lengths_cost_what_huffmans_tree_does_where_the_limit_does_not_matter() -> None:
    counts = np.bincount(skewed(50_000, 20.0), minlength=256)
    heap = [int(count) for count in counts if count]
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        cost += joined
        heapq.heappush(heap, joined)
    assert int((huffman.code_lengths(counts, 15) * counts).sum()) == cost


def test_code_lengths_under_a_limit_are_the_best_there_are() -> None:
    """Known answer: weights 1, 1, 2, 4, 8 take 1 to 4 bits; in 3 bits the best is 1, 3, 3, 3, 3."""
    counts = np.zeros(256, np.int64)
    counts[:5] = 1, 1, 2, 4, 8
    assert huffman.code_lengths(counts, 4)[:5].tolist() == [4, 4, 3, 2, 1]
    assert huffman.code_lengths(counts, 3)[:5].tolist() == [3, 3, 3, 3, 1]


def test_canonical_codes_have_a_known_order() -> None:
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
    by_huffman, by_rans = huffman.encode(plain), rans.encode(plain)
    assert by_huffman is not None
    assert by_rans is not None
    assert len(by_rans) < 1.006 * entropy(plain) + 600
    assert len(by_huffman) < whole_bits * entropy(plain) + 800
    assert rans.estimate(plain) == pytest.approx(len(by_rans), rel=0.01)


@pytest.mark.parametrize("size", [1, 300, 5000, 70_000])
def test_rans_in_contexts_comes_back_and_uses_them(size: int) -> None:
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
def test_frequencies_keep_every_symbol_and_their_sum(counts: list[int]) -> None:
    padded = np.array(counts + [0] * (256 - len(counts)), np.int64)
    scaled = rans.frequencies(padded)
    assert int(scaled.sum()) == rans.SUM
    np.testing.assert_array_equal(scaled > 0, padded > 0)


@pytest.mark.parametrize("number", [coders.ZSTD, coders.HUFFMAN, coders.RANS])
def test_broken_streams_never_do_worse_than_a_value_error(number: int) -> None:
    """The container's checksum comes first; behind it, made-up streams must not crash or hang either."""
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
                found = coders.decode(number, content, len(plain))
            except ValueError:
                continue
            assert len(found) == len(plain)


def test_unknown_coders_are_refused() -> None:
    with pytest.raises(ValueError, match="coder 9"):
        coders.decode(9, b"", 0)
