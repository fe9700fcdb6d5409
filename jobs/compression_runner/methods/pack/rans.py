"""Asymmetric numeral systems (rANS) over bytes: near the entropy, where Huffman rounds every byte to whole bits.

Duda 2013, arXiv:1311.2540; lanes that share one sequence of words after Giesen 2014, arXiv:1402.3392. Bytes may belong
to contexts, each with frequencies of its own, which whoever decodes has to know before. A stream is cut into lanes of
equal length, of which the last may lack symbols. Packed:

    u8              number of tables
    tables          u16 bytes, then a zstd frame: for each of 256 bytes 1 + 4 log2 of its weight, rounded, or 0 where it
                    does not occur; in place of each but the first, its difference to the one before, modulo 256
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

LANE: Final = 8192
"""Symbols of a lane where there are many: each lane costs some three bytes."""
LEAST_LANES: Final = 128
"""Fewer would leave numpy too little to do at once; but no lane is shorter than SHORTEST for it."""
SHORTEST: Final = 2048
SYMBOLS: Final = 256
BITS: Final = 14
SUM: Final = 1 << BITS
LOW: Final = np.uint64(1 << 16)
"""States stay from 2^16 to 2^32; below, a word of 16 bits is taken in."""
STEPS: Final = 4
"""Weights are told in steps of 2^(1/4): that they are off by up to a ninth costs less than to tell them exactly."""
POWERS: Final = np.array([0, *(round(2 ** (step / STEPS)) for step in range(STEPS * BITS + 1))], np.int64)
_COUNTS: Final = 8
_TABLE: Final = 110
"""About the bytes of a table."""


def estimate(plain: Bytes, contexts: Bytes | None = None) -> float:
    """About the bytes that `encode` takes."""
    counts = _counts(plain, contexts)
    totals = counts.sum(axis=1, keepdims=True)
    bits = float(-(counts * np.log2(np.maximum(counts, 1) / np.maximum(totals, 1))).sum())
    return bits / 8 + 3 * _lanes(len(plain)) + _TABLE * int((totals > 0).sum())


def weights(counts: NDArray[np.int64]) -> Bytes:
    """For each symbol the index of its weight in POWERS."""
    shares = np.maximum(1.0, counts * (SUM / max(1, int(counts.sum()))))
    told: Bytes = np.where(counts > 0, 1 + np.rint(STEPS * np.log2(shares)), 0).astype(np.uint8)
    return told


def frequencies(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weights of 256 symbols scaled to the sum 16384; at least 1 for each that occurs.

    What rounding leaves over goes to the heaviest; what it lacks, the heaviest give, one each, in turn.
    """
    total = int(counts.sum())
    if not total:
        # A context without a byte: any table will do.
        return np.array([SUM] + [0] * (SYMBOLS - 1), np.int64)
    scaled = np.where(counts > 0, np.maximum(1, (counts * SUM + total // 2) // total), 0)
    spare = SUM - int(scaled.sum())
    if spare > 0:
        scaled[int(scaled.argmax())] += spare
    while spare < 0:
        richest = np.argsort(-scaled, kind="stable")[: min(-spare, int((scaled > 1).sum()))]
        scaled[richest] -= 1
        spare += len(richest)
    return scaled


def encode(plain: Bytes, contexts: Bytes | None = None) -> bytes | None:
    """The packed stream; None where it would be no smaller. `contexts` has a context from 0 for each byte."""
    if not len(plain):
        return None
    told = np.stack([weights(counts) for counts in _counts(plain, contexts)])
    tables = np.stack([frequencies(POWERS[row]) for row in told])
    lanes = _lanes(len(plain))
    steps = -(-len(plain) // lanes)
    context = _by_step(contexts, len(plain), lanes)
    # The last lanes are filled up with what costs least where the last byte stands.
    filler = int(tables[context[-1, -1] if contexts is not None else 0].argmax())
    symbols = np.full(lanes * steps, filler, np.uint16)
    symbols[: len(plain)] = plain
    states, words = _fold(symbols.reshape(lanes, steps).T + context * SYMBOLS, tables)
    head = bytes([len(tables)]) + b"".join(map(_written, told)) + np.array([lanes, len(words)], "<u4").tobytes()
    packed = b"".join([head, states.astype("<u4").tobytes(), words.astype("<u2").tobytes()])
    return packed if len(packed) < len(plain) else None


def decode(packed: bytes, size: int, contexts: Bytes | None = None) -> Bytes:
    """The `size` bytes that were packed, with the contexts that they were packed with.

    Raises ValueError where `packed` is not what `encode` makes.
    """
    tables, at = _read_tables(packed)
    if len(packed) < at + _COUNTS:
        raise ValueError("an rANS stream is too short")
    lanes, count = (int(number) for number in np.frombuffer(packed, "<u4", 2, at))
    at += _COUNTS
    if not 0 < lanes <= size or len(packed) != at + 4 * lanes + 2 * count:
        raise ValueError("an rANS stream does not have the lanes and words that it says")
    if (0 if contexts is None else int(contexts.max(initial=0))) >= len(tables):
        raise ValueError("an rANS stream has fewer tables than contexts")
    states = np.frombuffer(packed, "<u4", lanes, at).astype(np.uint64)
    words = np.frombuffer(packed, "<u2", count, at + 4 * lanes).astype(np.uint64)
    return _unfold(states, words, tables, _by_step(contexts, size, lanes)).T.reshape(-1)[:size]


def _fold(index: NDArray[np.uint16], tables: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """States and words of all lanes; the last symbol is coded first, as decoding takes them the other way round.

    `index` (steps, lanes) has context x 256 + symbol.
    """
    frequency = tables.reshape(-1).astype(np.uint64)
    before = (np.cumsum(tables, axis=1) - tables).reshape(-1).astype(np.uint64)
    states = np.full(index.shape[1], LOW, np.uint64)
    words: list[NDArray[np.uint64]] = []
    for row in index[::-1]:
        share = frequency.take(row)
        full = states >= share << np.uint64(32 - BITS)
        words.append(states[full] & np.uint64(0xFFFF))
        states >>= full * np.uint64(16)
        # Exact: both are integers below 2^32, far from where float64 rounds a quotient up to the next integer.
        quotient = (states / share).astype(np.uint64)
        states += quotient * (np.uint64(SUM) - share) + before.take(row)
    return states, np.concatenate(words[::-1])


def _unfold(
    states: NDArray[np.uint64], words: NDArray[np.uint64], tables: NDArray[np.int64], contexts: NDArray[np.uint16]
) -> Bytes:
    which = np.concatenate([np.repeat(np.arange(SYMBOLS), table) for table in tables])
    table_of = np.repeat(np.arange(len(tables)), SUM)
    frequency = tables[table_of, which].astype(np.uint16)
    starts = (np.cumsum(tables, axis=1) - tables)[table_of, which]
    offset = (np.tile(np.arange(SUM), len(tables)) - starts).astype(np.uint16)
    symbol = which.astype(np.uint8)
    out = np.empty(contexts.shape, np.uint8)
    at = 0
    for row, context in zip(out, contexts, strict=True):
        slot = (states & np.uint64(SUM - 1)).astype(np.intp)
        slot += context * np.intp(SUM)
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


def _counts(plain: Bytes, contexts: Bytes | None) -> NDArray[np.int64]:
    """How often each of 256 bytes occurs in each context."""
    if contexts is None:
        return np.bincount(plain, minlength=SYMBOLS)[None]
    number = int(contexts.max(initial=0)) + 1
    joined = contexts.astype(np.uint16) * SYMBOLS + plain
    return np.bincount(joined, minlength=number * SYMBOLS).reshape(number, SYMBOLS)


def _by_step(contexts: Bytes | None, size: int, lanes: int) -> NDArray[np.uint16]:
    """The contexts as (steps, lanes); symbols that fill up lanes have that of the last byte."""
    steps = -(-size // lanes)
    if contexts is None:
        return np.zeros((steps, lanes), np.uint16)
    if len(contexts) != size:
        raise ValueError("there is not a context for each byte")
    spread = np.full(steps * lanes, contexts[-1], np.uint16)
    spread[:size] = contexts
    return np.ascontiguousarray(spread.reshape(lanes, steps).T)


def _lanes(size: int) -> int:
    return max(-(-size // LANE), min(LEAST_LANES, -(-size // SHORTEST)))


def _written(told: Bytes) -> bytes:
    frame = zstandard.ZstdCompressor(level=19).compress(np.diff(told, prepend=np.uint8(0)).tobytes())
    return np.array([len(frame)], "<u2").tobytes() + frame


def _read_tables(packed: bytes) -> tuple[NDArray[np.int64], int]:
    if not packed or not packed[0]:
        raise ValueError("an rANS stream has no table")
    tables, at = [], 1
    for _ in range(packed[0]):
        end = at + 2 + int.from_bytes(packed[at : at + 2], "little")
        tables.append(_read_table(packed[at + 2 : end]))
        at = end
    return np.stack(tables), at


def _read_table(frame: bytes) -> NDArray[np.int64]:
    try:
        if zstandard.frame_content_size(frame) != SYMBOLS:
            raise ValueError("the table of an rANS stream is not of 256 bytes")
        differences = zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as error:
        raise ValueError(f"the table of an rANS stream cannot be read: {error}") from error
    told = np.cumsum(np.frombuffer(differences, np.uint8), dtype=np.uint8)
    if told.max() >= len(POWERS):
        raise ValueError("the table of an rANS stream has weights that there are not")
    return frequencies(POWERS[told])
