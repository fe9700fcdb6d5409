"""Asymmetric numeral systems (rANS) over bytes: close to the entropy, while Huffman rounds each byte to whole bits.

Duda 2013, arXiv:1311.2540; lanes that share one sequence of words after Giesen 2014, arXiv:1402.3392. Bytes may belong
to contexts with frequencies of their own; the decoder must know the contexts. A stream is cut into lanes of equal
length, of which the last may lack symbols.

Not a library: a stream must unpack for years, and constriction, 13 times as fast and 0.2 % smaller, does not specify
how it rounds frequencies. Packed:

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
"""Symbols of a lane in long streams: each lane costs about three bytes."""
MIN_LANES: Final = 128
"""Minimum lanes, for efficient numpy operations, unless lanes would be shorter than MIN_LANE."""
MIN_LANE: Final = 2048
SYMBOLS: Final = 256
BITS: Final = 14
SUM: Final = 1 << BITS
LOW: Final = np.uint64(1 << 16)
"""States stay from 2^16 to 2^32; below that, the decoder reads a word of 16 bits."""
STEPS: Final = 4
"""Weights are stored in steps of 2^(1/4): their error of up to a ninth costs less than storing them exactly."""
POWERS: Final = np.array([0, *(round(2 ** (step / STEPS)) for step in range(STEPS * BITS + 1))], np.int64)
_COUNTS: Final = 8
_TABLE: Final = 110
"""Approximate bytes of a table."""


def estimate(plain: Bytes, contexts: Bytes | None = None) -> float:
    """Estimate the size of the output of `encode` in bytes."""
    counts = _counts(plain, contexts)
    totals = counts.sum(axis=1, keepdims=True)
    bits = float(-(counts * np.log2(np.maximum(counts, 1) / np.maximum(totals, 1))).sum())
    return bits / 8 + 3 * _lanes(len(plain)) + _TABLE * int((totals > 0).sum())


def weights(counts: NDArray[np.int64]) -> Bytes:
    """Return, for each symbol, the index of its weight in POWERS."""
    shares = np.maximum(1.0, counts * (SUM / max(1, int(counts.sum()))))
    indices: Bytes = np.where(counts > 0, 1 + np.rint(STEPS * np.log2(shares)), 0).astype(np.uint8)
    return indices


def frequencies(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weights of 256 symbols, scaled to the sum 16384; at least 1 for each symbol that occurs.

    A surplus from rounding goes to the largest weight; a deficit is taken from the largest weights, one each in turn.
    """
    total = int(counts.sum())
    if not total:
        # A context without bytes: any table works.
        return np.array([SUM] + [0] * (SYMBOLS - 1), np.int64)
    scaled = np.where(counts > 0, np.maximum(1, (counts * SUM + total // 2) // total), 0)
    spare = SUM - int(scaled.sum())
    if spare > 0:
        scaled[int(scaled.argmax())] += spare
    while spare < 0:
        largest = np.argsort(-scaled, kind="stable")[: min(-spare, int((scaled > 1).sum()))]
        scaled[largest] -= 1
        spare += len(largest)
    return scaled


def encode(plain: Bytes, contexts: Bytes | None = None) -> bytes | None:
    """Return the packed stream; None if it would not be smaller. `contexts` has a context from 0 for each byte."""
    if not len(plain):
        return None
    indices = np.stack([weights(counts) for counts in _counts(plain, contexts)])
    tables = np.stack([frequencies(POWERS[row]) for row in indices])
    lanes = _lanes(len(plain))
    steps = -(-len(plain) // lanes)
    context = _by_step(contexts, len(plain), lanes)
    # Pad the last lanes with the cheapest symbol in the context of the last byte.
    filler = int(tables[context[-1, -1] if contexts is not None else 0].argmax())
    symbols = np.full(lanes * steps, filler, np.uint16)
    symbols[: len(plain)] = plain
    states, words = _encode_lanes(symbols.reshape(lanes, steps).T + context * SYMBOLS, tables)
    head = bytes([len(tables)]) + b"".join(map(_packed_table, indices)) + np.array([lanes, len(words)], "<u4").tobytes()
    packed = b"".join([head, states.astype("<u4").tobytes(), words.astype("<u2").tobytes()])
    return packed if len(packed) < len(plain) else None


def decode(packed: bytes, size: int, contexts: Bytes | None = None) -> Bytes:
    """Return the `size` unpacked bytes; `contexts` must equal those in `encode`.

    Raises ValueError if `packed` is not an output of `encode`.
    """
    tables, position = _read_tables(packed)
    if len(packed) < position + _COUNTS:
        raise ValueError("an rANS stream is too short")
    lanes, count = (int(number) for number in np.frombuffer(packed, "<u4", 2, position))
    position += _COUNTS
    if not 0 < lanes <= size or len(packed) != position + 4 * lanes + 2 * count:
        raise ValueError("an rANS stream does not have the stated lanes and words")
    if (0 if contexts is None else int(contexts.max(initial=0))) >= len(tables):
        raise ValueError("an rANS stream has fewer tables than contexts")
    states = np.frombuffer(packed, "<u4", lanes, position).astype(np.uint64)
    words = np.frombuffer(packed, "<u2", count, position + 4 * lanes).astype(np.uint64)
    return _decode_lanes(states, words, tables, _by_step(contexts, size, lanes)).T.reshape(-1)[:size]


def _encode_lanes(
    index: NDArray[np.uint16], tables: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the states and words of all lanes; the last symbol is coded first, since decoding reverses the order.

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
        # Exact: both are integers below 2^32, too small for float64 to round a quotient up to the next integer.
        quotient = (states / share).astype(np.uint64)
        states += quotient * (np.uint64(SUM) - share) + before.take(row)
    return states, np.concatenate(words[::-1])


def _decode_lanes(
    states: NDArray[np.uint64], words: NDArray[np.uint64], tables: NDArray[np.int64], contexts: NDArray[np.uint16]
) -> Bytes:
    slot_symbols = np.concatenate([np.repeat(np.arange(SYMBOLS), table) for table in tables])
    table_of = np.repeat(np.arange(len(tables)), SUM)
    frequency = tables[table_of, slot_symbols].astype(np.uint16)
    starts = (np.cumsum(tables, axis=1) - tables)[table_of, slot_symbols]
    offset = (np.tile(np.arange(SUM), len(tables)) - starts).astype(np.uint16)
    symbol = slot_symbols.astype(np.uint8)
    out = np.empty(contexts.shape, np.uint8)
    position = 0
    for row, context in zip(out, contexts, strict=True):
        slot = (states & np.uint64(SUM - 1)).astype(np.intp)
        slot += context * np.intp(SUM)
        symbol.take(slot, out=row)
        states = frequency.take(slot) * (states >> np.uint64(BITS)) + offset.take(slot)
        low = np.flatnonzero(states < LOW)
        if len(low):
            taken = words[position : position + len(low)]
            if len(taken) < len(low):
                raise ValueError("an rANS stream lacks words")
            states[low] = (states[low] << np.uint64(16)) | taken
            position += len(low)
    if position != len(words) or (states != LOW).any():
        raise ValueError("an rANS stream does not end in its initial state")
    return out


def _counts(plain: Bytes, contexts: Bytes | None) -> NDArray[np.int64]:
    """Return the count of each of 256 bytes in each context."""
    if contexts is None:
        return np.bincount(plain, minlength=SYMBOLS)[None]
    number = int(contexts.max(initial=0)) + 1
    joined = contexts.astype(np.uint16) * SYMBOLS + plain
    return np.bincount(joined, minlength=number * SYMBOLS).reshape(number, SYMBOLS)


def _by_step(contexts: Bytes | None, size: int, lanes: int) -> NDArray[np.uint16]:
    """Return the contexts as (steps, lanes); padding symbols have the context of the last byte."""
    steps = -(-size // lanes)
    if contexts is None:
        return np.zeros((steps, lanes), np.uint16)
    if len(contexts) != size:
        raise ValueError("the number of contexts is not the number of bytes")
    spread = np.full(steps * lanes, contexts[-1], np.uint16)
    spread[:size] = contexts
    return np.ascontiguousarray(spread.reshape(lanes, steps).T)


def _lanes(size: int) -> int:
    return max(-(-size // LANE), min(MIN_LANES, -(-size // MIN_LANE)))


def _packed_table(indices: Bytes) -> bytes:
    frame = zstandard.ZstdCompressor(level=19).compress(np.diff(indices, prepend=np.uint8(0)).tobytes())
    return np.array([len(frame)], "<u2").tobytes() + frame


def _read_tables(packed: bytes) -> tuple[NDArray[np.int64], int]:
    if not packed or not packed[0]:
        raise ValueError("an rANS stream has no table")
    tables, position = [], 1
    for _ in range(packed[0]):
        end = position + 2 + int.from_bytes(packed[position : position + 2], "little")
        tables.append(_read_table(packed[position + 2 : end]))
        position = end
    return np.stack(tables), position


def _read_table(frame: bytes) -> NDArray[np.int64]:
    try:
        if zstandard.frame_content_size(frame) != SYMBOLS:
            raise ValueError("the table of an rANS stream is not of 256 bytes")
        differences = zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as error:
        raise ValueError("the table of an rANS stream is damaged") from error
    indices = np.cumsum(np.frombuffer(differences, np.uint8), dtype=np.uint8)
    if indices.max() >= len(POWERS):
        raise ValueError("the table of an rANS stream has invalid weights")
    return frequencies(POWERS[indices])
