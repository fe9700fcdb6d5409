"""Codes of a few bits in bytes, as onnxruntime's MatMulNBits and GatherBlockQuantized read them.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout

FAST_PAIRS: Final = (32, 64, 128)
"""Groups for which onnxruntime 1.32 multiplies 2-bit weights fast: 3.7 to 8.4 times as fast as floats with one thread,
and 0.03 times with groups of 16 and 256."""


@dataclass(frozen=True)
class Packed:
    """`data` (outputs, groups, bytes of a group), `scales` (outputs, groups), `zeros` (outputs, bytes of a row).

    Without `zeros` every zero point is the middle of the codes. A short last group is filled up with zeros.
    """

    bits: int
    group: int
    inputs: int
    data: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | None

    @property
    def filled(self) -> int:
        """Inputs with those that fill the last group up."""
        return int(self.data.shape[1]) * self.group


def stored_bits(layout: Layout) -> int:
    """Bits that a code takes: 4 for one of three, or of two in groups without a fast kernel."""
    if layout.bits == 2 and layout.group in FAST_PAIRS:
        return 2
    return max(4, layout.bits)


def pack(codes: Codes, grid: Grid) -> Packed:
    """Codes of shape (outputs, inputs) as the runtime stores them."""
    layout, (outputs, inputs) = grid.layout, codes.shape
    bits, groups = stored_bits(layout), layout.groups(inputs)
    filled = np.repeat(grid.zeros, layout.group, axis=1)
    filled[:, :inputs] = codes
    data = _join(filled.reshape(outputs, groups, layout.group), bits)
    implied = layout.symmetric and bits == layout.bits
    return Packed(bits, layout.group, inputs, data, grid.scales, None if implied else _join(grid.zeros, bits))


def _join(codes: Codes, bits: int) -> NDArray[np.uint8]:
    """Codes put together along the last axis, the first in the lowest bits; the last byte may be partly empty."""
    per_byte = 8 // bits
    missing = -codes.shape[-1] % per_byte
    whole = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, missing)])
    parts = whole.reshape(*whole.shape[:-1], -1, per_byte)
    joined = np.zeros(parts.shape[:-1], np.uint8)
    for place in range(per_byte):
        joined |= parts[..., place] << np.uint8(bits * place)
    return joined
