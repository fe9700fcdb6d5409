"""Pack low-bit codes into bytes for onnxruntime's MatMulNBits and GatherBlockQuantized.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout

FAST_PAIRS: Final = (32, 64, 128)
"""Groups with a fast 2-bit kernel in onnxruntime 1.32: 3.7 to 8.4 times the speed of floats with one thread, but 0.03
times with groups of 16 and 256."""


@dataclass(frozen=True)
class PackedWeight:
    """`data` (outputs, groups, bytes of a group), `scales` (outputs, groups), `zeros` (outputs, bytes of a row).

    Without `zeros` every zero point is the middle of the codes. A short last group is padded with zeros.
    """

    bits: int
    group: int
    inputs: int
    data: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | None

    @property
    def padded_inputs(self) -> int:
        """The number of inputs including the padding of the last group."""
        return int(self.data.shape[1]) * self.group


def stored_bits(layout: Layout) -> int:
    """Return the stored bits of a code: 4 for three bits, and for two bits in groups without a fast kernel."""
    if layout.bits == 2 and layout.group in FAST_PAIRS:
        return 2
    return max(4, layout.bits)


def pack(codes: Codes, grid: Grid) -> PackedWeight:
    """Pack codes of shape (outputs, inputs) in the format of the runtime."""
    layout, (outputs, inputs) = grid.layout, codes.shape
    bits, groups = stored_bits(layout), layout.groups(inputs)
    padded = np.repeat(grid.zeros, layout.group, axis=1)
    padded[:, :inputs] = codes
    data = _join(padded.reshape(outputs, groups, layout.group), bits)
    implied = layout.symmetric and bits == layout.bits
    return PackedWeight(bits, layout.group, inputs, data, grid.scales, None if implied else _join(grid.zeros, bits))


def _join(codes: Codes, bits: int) -> NDArray[np.uint8]:
    """Join codes along the last axis, the first in the lowest bits; the last byte may be partly empty."""
    per_byte = 8 // bits
    missing = -codes.shape[-1] % per_byte
    padded = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, missing)])
    parts = padded.reshape(*padded.shape[:-1], -1, per_byte)
    joined = np.zeros(parts.shape[:-1], np.uint8)
    for position in range(per_byte):
        joined |= parts[..., position] << np.uint8(bits * position)
    return joined
