"""Asymmetric numeral systems (rANS) over bytes: near the entropy, where Huffman rounds every byte to whole bits.

Duda 2013, arXiv:1311.2540; lanes that share one sequence of words after Giesen 2014, arXiv:1402.3392. A stream is cut
into lanes of equal length, of which the last may lack symbols. Packed:

    u16             bytes of the table, a zstd frame
    table           for each of 256 bytes 1 + 4 log2 of its weight, rounded, or 0 where it does not occur; in place of
                    each but the first, its difference to the one before, modulo 256
    u32             number of lanes
    u32             number of words
    lanes x u32     the state that decoding of each lane starts with
    words x u16     in the order in which decoding takes them: step by step, and within a step lane by lane
"""

from typing import Final

import numpy as np
import zstandard
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LANE: Final = 4096
"""Symbols of a lane where there are many: each lane costs some three bytes."""
LEAST_LANES: Final = 64
"""Fewer would leave numpy too little to do at once; but no lane is shorter than SHORTEST for it."""
SHORTEST: Final = 512
SYMBOLS: Final = 256
BITS: Final = 14
SUM: Final = 1 << BITS
LOW: Final = np.uint64(1 << 16)
"""States stay from 2^16 to 2^32; below, a word of 16 bits is taken in."""
STEPS: Final = 4
"""Weights are told in steps of 2^(1/4): that they are off by up to a ninth costs less than to tell them exactly."""
POWERS: Final = np.array([0, *(round(2 ** (step / STEPS)) for step in range(STEPS * BITS + 1))], np.int64)
_COUNTS: Final = 8
_TABLE: Final = 120


def estimate(plain: Bytes) -> float:
    """About the bytes that `encode` takes."""
    counts = np.bincount(plain, minlength=SYMBOLS)
    shares = counts[counts > 0] / max(1, len(plain))
    return float(-(shares * np.log2(shares)).sum()) * len(plain) / 8 + 3 * _lanes(len(plain)) + _TABLE


def weights(counts: NDArray[np.int64]) -> Bytes:
    """For each symbol the index of its weight in POWERS."""
    shares = np.maximum(1.0, counts * (SUM / max(1, int(counts.sum()))))
    return np.where(counts > 0, 1 + np.rint(STEPS * np.log2(shares)), 0).astype(np.uint8)


def frequencies(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weights of 256 symbols scaled to the sum 16384; at least 1 for each that occurs.

    What rounding leaves over goes to the heaviest; what it lacks, the heaviest give, one each, in turn.
    """
    total = int(counts.sum())
    scaled = np.where(counts > 0, np.maximum(1, counts * SUM // total), 0)
    spare = SUM - int(scaled.sum())
    if spare > 0:
        scaled[int(scaled.argmax())] += spare
    while spare < 0:
        richest = np.argsort(-scaled, kind="stable")[: min(-spare, int((scaled > 1).sum()))]
        scaled[richest] -= 1
        spare += len(richest)
    return scaled


def encode(plain: Bytes) -> bytes | None:
    """The packed stream; None where it would be no smaller."""
    if not len(plain):
        return None
    lanes = _lanes(len(plain))
    steps = -(-len(plain) // lanes)
    told = weights(np.bincount(plain, minlength=SYMBOLS))
    table = frequencies(POWERS[told])
    # The last lanes are filled up with the symbol that costs least.
    filler = np.full(lanes * steps - len(plain), table.argmax(), np.uint8)
    symbols = np.concatenate([plain, filler]).reshape(lanes, steps).T
    states, words = _fold(np.ascontiguousarray(symbols), table)
    counts = np.array([lanes, len(words)], "<u4").tobytes()
    packed = b"".join([_written(told), counts, states.astype("<u4").tobytes(), words.astype("<u2").tobytes()])
    return packed if len(packed) < len(plain) else None


def decode(packed: bytes, size: int) -> Bytes:
    """The `size` bytes that were packed.

    Raises ValueError where `packed` is not what `encode` makes.
    """
    table, at = _read_table(packed)
    if len(packed) < at + _COUNTS:
        raise ValueError("an rANS stream is too short")
    lanes, count = (int(number) for number in np.frombuffer(packed, "<u4", 2, at))
    at += _COUNTS
    if not 0 < lanes <= size or len(packed) != at + 4 * lanes + 2 * count:
        raise ValueError("an rANS stream does not have the lanes and words that it says")
    states = np.frombuffer(packed, "<u4", lanes, at).astype(np.uint64)
    words = np.frombuffer(packed, "<u2", count, at + 4 * lanes).astype(np.uint64)
    return _unfold(states, words, table, -(-size // lanes)).T.reshape(-1)[:size]


def _fold(symbols: Bytes, table: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """States and words of all lanes; the last symbol is coded first, as decoding takes them the other way round."""
    frequency, before = table.astype(np.uint64), (np.cumsum(table) - table).astype(np.uint64)
    states = np.full(symbols.shape[1], LOW, np.uint64)
    words: list[NDArray[np.uint64]] = []
    for row in symbols[::-1]:
        share = frequency.take(row)
        full = states >= share << np.uint64(32 - BITS)
        words.append(states[full] & np.uint64(0xFFFF))
        states >>= full * np.uint64(16)
        # Exact: both are integers below 2^32, far from where float64 rounds a quotient up to the next integer.
        quotient = (states / share).astype(np.uint64)
        states += quotient * (np.uint64(SUM) - share) + before.take(row)
    return states, np.concatenate(words[::-1])


def _unfold(states: NDArray[np.uint64], words: NDArray[np.uint64], table: NDArray[np.int64], steps: int) -> Bytes:
    symbol = np.repeat(np.arange(SYMBOLS), table)
    frequency = table[symbol].astype(np.uint64)
    offset = (np.arange(SUM) - (np.cumsum(table) - table)[symbol]).astype(np.uint64)
    symbol = symbol.astype(np.uint8)
    out = np.empty((steps, len(states)), np.uint8)
    at = 0
    for row in out:
        slot = (states & np.uint64(SUM - 1)).astype(np.intp)
        symbol.take(slot, out=row)
        states = frequency.take(slot) * (states >> np.uint64(BITS)) + offset.take(slot)
        low = np.flatnonzero(states < LOW)
        if len(low):
            taken = words[at : at + len(low)]
            if len(taken) < len(low):
                raise ValueError("an rANS stream lacks words")
            states[low] = (states[low] << np.uint64(16)) | taken
            at += len(low)
    if at != len(words) or (states != LOW).any():
        raise ValueError("an rANS stream does not end where it began")
    return out


def _lanes(size: int) -> int:
    return max(-(-size // LANE), min(LEAST_LANES, -(-size // SHORTEST)))


def _written(told: Bytes) -> bytes:
    frame = zstandard.ZstdCompressor(level=19).compress(np.diff(told, prepend=np.uint8(0)).tobytes())
    return np.array([len(frame)], "<u2").tobytes() + frame


def _read_table(packed: bytes) -> tuple[NDArray[np.int64], int]:
    if len(packed) < 2:
        raise ValueError("an rANS stream is too short")
    at = 2 + int(np.frombuffer(packed, "<u2", 1)[0])
    try:
        if zstandard.frame_content_size(packed[2:at]) != SYMBOLS:
            raise ValueError("the table of an rANS stream is not of 256 bytes")
        differences = zstandard.ZstdDecompressor().decompress(packed[2:at])
    except zstandard.ZstdError as error:
        raise ValueError(f"the table of an rANS stream cannot be read: {error}") from error
    told = np.cumsum(np.frombuffer(differences, np.uint8), dtype=np.uint8)
    if not told.any() or told.max() >= len(POWERS):
        raise ValueError("the table of an rANS stream has weights that there are not")
    return frequencies(POWERS[told]), at
