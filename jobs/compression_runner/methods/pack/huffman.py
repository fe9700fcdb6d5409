"""Decode the Huffman streams of pack versions 1 and 2; later versions write DEFLATE, by zlib.

Canonical codes of bytes (Huffman 1952, doi:10.1109/JRPROC.1952.273898) in lanes of `LANE` symbols, which numpy decodes
at once. Packed:

    256 x 4 bits    length of each byte's code, 0 where it does not occur; low half of a byte first
    lanes x u16     bytes that each lane takes
    lanes           their bits, the first bit of a code highest, each lane filled up with zeros to a whole byte
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LONGEST: Final = 12
LANE: Final = 2048
SYMBOLS: Final = 256
_TABLE: Final = SYMBOLS // 2
_PEEKS: Final = (64 - 7) // LONGEST
"""Minimum symbols in a window of 64 bits that begins within a byte."""


def canonical_codes(lengths: Bytes) -> NDArray[np.uint64]:
    """Return the codes in the order of their lengths, then of their symbols: the lengths determine them.

    Raises ValueError if no prefix code has these lengths.
    """
    codes = np.zeros(SYMBOLS, np.uint64)
    code = previous = 0
    for symbol in sorted(np.flatnonzero(lengths).tolist(), key=lambda symbol: (lengths[symbol], symbol)):
        code <<= int(lengths[symbol]) - previous
        previous = int(lengths[symbol])
        if code >> previous:
            raise ValueError("no prefix code has these Huffman code lengths")
        codes[symbol] = code
        code += 1
    return codes


def decode(packed: bytes, size: int) -> Bytes:
    """Return the `size` unpacked bytes.

    Raises ValueError if `packed` is no such stream.
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
    # A lane with broken codes reads at most LANE x LONGEST bits further.
    padded = np.frombuffer(body + bytes(LANE * LONGEST // 8 + 8), np.uint8)
    windows = np.ndarray(len(padded) - 7, ">u8", padded, strides=(1,))
    starts = (np.cumsum(sizes) - sizes) * 8
    out = np.empty((LANE, lanes), np.uint8)
    _read(windows, starts.copy(), symbols, steps, out)
    plain = out.T.reshape(-1)[:size]
    used = np.add.reduceat(lengths[plain].astype(np.int64), np.arange(lanes) * LANE)
    if not np.array_equal((used + 7) >> 3, sizes):
        raise ValueError("the codes of a Huffman stream do not end at the stated position")
    return plain


def _read(
    windows: NDArray[np.uint64], offsets: NDArray[np.int64], symbols: Bytes, steps: Bytes, out: NDArray[np.uint8]
) -> None:
    """Decode one symbol of every lane at a time, and load new bits every few symbols."""
    keep = np.uint64(64 - LONGEST)
    for start in range(0, len(out), _PEEKS):
        window = windows[np.minimum(offsets >> 3, len(windows) - 1)].astype(np.uint64)
        window <<= (offsets & 7).astype(np.uint64)
        for row in range(start, min(start + _PEEKS, len(out))):
            peeked = (window >> keep).astype(np.intp)
            symbols.take(peeked, out=out[row])
            step = steps.take(peeked)
            window <<= step.astype(np.uint64)
            offsets += step


def _lookup(lengths: Bytes) -> tuple[Bytes, Bytes]:
    """Return tables from `LONGEST` bits to the symbol of the code at their start, and to the length of the code."""
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
