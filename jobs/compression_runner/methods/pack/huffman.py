"""Canonical Huffman coding of bytes, many streams side by side, so that numpy codes and decodes them at once.

Huffman 1952 (doi:10.1109/JRPROC.1952.273898); code lengths limited by package-merge, Larmore and Hirschberg 1990
(doi:10.1145/79147.79150). A stream is cut into lanes of `LANE` symbols. Packed:

    256 x 4 bits    length of each byte's code, 0 where it does not occur; low half of a byte first
    lanes x u16     bytes that each lane takes
    lanes           their bits, the first bit of a code highest, each lane filled up with zeros to a whole byte
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LONGEST: Final = 12
LANE: Final = 2048
SYMBOLS: Final = 256
_TABLE: Final = SYMBOLS // 2
_AT_ONCE: Final = 16
"""Lanes that are coded at once: what they need stays in the processor's cache."""
_PEEKS: Final = (64 - 7) // LONGEST
"""Symbols that a window of 64 bits, which begins within a byte, has for certain."""


def code_lengths(counts: NDArray[np.int64], longest: int = LONGEST) -> Bytes:
    """The lengths of an optimal prefix code of at most `longest` bits, for the counts of 256 symbols.

    Package-merge: the cheapest 2n-2 of the packages of each level; a symbol's length is how many of them hold it.
    """
    used = np.flatnonzero(counts)
    lengths = np.zeros(SYMBOLS, np.uint8)
    if len(used) < 2:
        lengths[used] = 1
        return lengths
    weights = counts[used].astype(np.int64)
    single = np.eye(len(used), dtype=np.int64)
    packages, held = weights, single
    for _ in range(longest - 1):
        order = np.argsort(packages, kind="stable")
        pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
        packages = np.concatenate([weights, packages[pairs].sum(1)])
        held = np.concatenate([single, held[pairs].sum(1)])
    cheapest = np.argsort(packages, kind="stable")[: 2 * len(used) - 2]
    lengths[used] = held[cheapest].sum(0)
    return lengths


def canonical_codes(lengths: Bytes) -> NDArray[np.uint64]:
    """The codes in the order of their lengths, then of their symbols: the lengths alone tell them.

    Raises ValueError where no prefix code has these lengths.
    """
    codes = np.zeros(SYMBOLS, np.uint64)
    code = previous = 0
    for symbol in sorted(np.flatnonzero(lengths).tolist(), key=lambda symbol: (lengths[symbol], symbol)):
        code <<= int(lengths[symbol]) - previous
        previous = int(lengths[symbol])
        if code >> previous:
            raise ValueError("the Huffman code lengths belong to no prefix code")
        codes[symbol] = code
        code += 1
    return codes


def encode(plain: Bytes) -> bytes | None:
    """The packed stream; None where it would be no smaller."""
    if not len(plain):
        return None
    counts = np.bincount(plain, minlength=SYMBOLS)
    lengths = code_lengths(counts)
    lanes = -(-len(plain) // LANE)
    if (int((counts * lengths).sum()) >> 3) + _TABLE + 2 * lanes >= len(plain):
        return None
    # One lookup gives code and length; one symbol more, of no bits, fills up the last lane.
    table = np.append((canonical_codes(lengths) << 4) | lengths, 0).astype(np.uint64)
    sizes, bodies = [], []
    for start in range(0, lanes, _AT_ONCE):
        part = plain[start * LANE : (start + _AT_ONCE) * LANE]
        symbols = np.full(-(-len(part) // LANE) * LANE, SYMBOLS, np.uint16)
        symbols[: len(part)] = part
        taken, body = _encode_lanes(table.take(symbols))
        sizes.append(taken)
        bodies.append(body)
    header = (lengths[0::2] | (lengths[1::2] << 4)).tobytes() + np.concatenate(sizes).astype("<u2").tobytes()
    packed = b"".join([header, *bodies])
    return packed if len(packed) < len(plain) else None


def decode(packed: bytes, size: int) -> Bytes:
    """The `size` bytes that were packed.

    Raises ValueError where `packed` is not what `encode` makes.
    """
    lanes = -(-size // LANE)
    if not size or len(packed) < _TABLE + 2 * lanes:
        raise ValueError("a Huffman stream is too short")
    halves = np.frombuffer(packed, np.uint8, _TABLE)
    lengths = np.stack([halves & 15, halves >> 4], axis=1).reshape(-1)
    symbols, steps = _lookup(lengths)
    sizes = np.frombuffer(packed, "<u2", lanes, _TABLE).astype(np.int64)
    body = packed[_TABLE + 2 * lanes :]
    if int(sizes.sum()) != len(body):
        raise ValueError("the lanes of a Huffman stream do not fill it")
    # A lane of broken codes reads on for at most LANE x LONGEST bits.
    padded = np.frombuffer(body + bytes(LANE * LONGEST // 8 + 8), np.uint8)
    windows = np.ndarray(len(padded) - 7, ">u8", padded, strides=(1,))
    starts = (np.cumsum(sizes) - sizes) * 8
    out = np.empty((LANE, lanes), np.uint8)
    _read(windows, starts.copy(), symbols, steps, out)
    plain = out.T.reshape(-1)[:size]
    used = np.add.reduceat(lengths[plain].astype(np.int64), np.arange(lanes) * LANE)
    if not np.array_equal((used + 7) >> 3, sizes):
        raise ValueError("the codes of a Huffman stream do not end where it says")
    return plain


def _read(
    windows: NDArray[np.uint64], at: NDArray[np.int64], symbols: Bytes, steps: Bytes, out: NDArray[np.uint8]
) -> None:
    """Decodes one symbol of every lane at a time, and looks for new bits every few symbols."""
    keep = np.uint64(64 - LONGEST)
    for start in range(0, len(out), _PEEKS):
        window = windows[np.minimum(at >> 3, len(windows) - 1)].astype(np.uint64)
        window <<= (at & 7).astype(np.uint64)
        for row in range(start, min(start + _PEEKS, len(out))):
            peeked = (window >> keep).astype(np.intp)
            symbols.take(peeked, out=out[row])
            step = steps.take(peeked)
            window <<= step.astype(np.uint64)
            at += step


def _lookup(lengths: Bytes) -> tuple[Bytes, Bytes]:
    """For every `LONGEST` bits, the symbol whose code they begin with, and the code's length."""
    if lengths.max(initial=0) > LONGEST:
        raise ValueError(f"a Huffman code is longer than {LONGEST} bits")
    codes = canonical_codes(lengths)
    symbols, steps = np.zeros(1 << LONGEST, np.uint8), np.zeros(1 << LONGEST, np.uint8)
    for symbol in np.flatnonzero(lengths):
        spare = LONGEST - int(lengths[symbol])
        first = int(codes[symbol]) << spare
        symbols[first : first + (1 << spare)] = symbol
        steps[first : first + (1 << spare)] = lengths[symbol]
    return symbols, steps


def _encode_lanes(found: NDArray[np.uint64]) -> tuple[NDArray[np.int64], bytes]:
    """The bytes that each lane takes, and the lanes; `found` has a code and, in the lowest four bits, its length."""
    codes, bits = found >> 4, found & 15
    # Four codes become one of at most 48 bits: the fewer there are, the less there is to place.
    for _ in range(2):
        codes = (codes[0::2] << bits[1::2]) | codes[1::2]
        bits = bits[0::2] + bits[1::2]
    taken = bits.astype(np.int64)
    inside = np.cumsum(taken.reshape(-1, LANE // 4), axis=1)
    sizes = (inside[:, -1] + 7) >> 3
    first = (np.cumsum(sizes) - sizes) * 8
    starts = (first[:, None] + inside).reshape(-1) - taken
    return sizes, _place(codes.astype(np.uint64), taken, starts, int(sizes.sum()))


def _place(codes: NDArray[np.uint64], bits: NDArray[Any], starts: NDArray[Any], size: int) -> bytes:
    """Writes each code at its bit: those that begin in one word of 64 bits are joined, what passes its end moves on."""
    word = starts >> 6
    left = 64 - (starts & 63) - bits
    over = np.flatnonzero(left < 0)
    own = codes << np.maximum(left, 0).astype(np.uint64)
    own[over] = codes[over] >> (-left[over]).astype(np.uint64)
    first = np.flatnonzero(np.diff(word, prepend=-1))
    words = np.zeros((size >> 3) + 2, np.uint64)
    words[word[first]] = np.bitwise_or.reduceat(own, first)
    words[word[over] + 1] |= codes[over] << (64 + left[over]).astype(np.uint64)
    return words.astype(">u8").tobytes()[:size]
