"""Integer grids for weights: one scale and one zero point per output and group of inputs.

A weight is (code - zero) * scale, as in onnxruntime's MatMulNBits (Jacob et al. 2017, arXiv:1712.05877). Round-to-
nearest only fits a grid to the smallest and largest weight of each group. All functions take arrays of the host or,
within an offloaded function (calibration/device.py), tensors on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from compression_runner.calibration.device import Array, offloaded, on_host

Weights = NDArray[np.floating]
Codes = NDArray[np.uint8]
Scales = NDArray[np.float32]
ROWS: Final = 4096
"""Outputs to process at once: a table of all tokens has tens of thousands."""
SHRINKS: Final = tuple(1.0 - step / 40 for step in range(21))
"""Candidate fractions of the range for a clipped grid."""


@dataclass(frozen=True)
class Layout:
    """Bits of a code, inputs in a group, and whether grids are symmetric about zero.

    `stored` rounds scales to the type in which they are stored, so that codes are chosen for the stored scales.
    """

    bits: int
    group: int
    symmetric: bool
    stored: Callable[[Scales], Scales] = lambda scales: scales

    def groups(self, inputs: int) -> int:
        """Return the number of groups for this number of inputs; the last may be short."""
        return -(-inputs // self.group)

    @property
    def top(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1

    @property
    def middle(self) -> int:
        """The zero point of every symmetric grid."""
        return 1 << (self.bits - 1)


@dataclass(frozen=True)
class Grid:
    """`scales` (float32) and `zeros` (integers), both of shape (outputs, groups)."""

    layout: Layout
    scales: NDArray[np.float32]
    zeros: Codes

    def rows(self, part: slice) -> "Grid":
        """Return the grid of some outputs."""
        return Grid(self.layout, self.scales[part], self.zeros[part])

    def expanded(self, inputs: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the scale and zero point of every weight, both (outputs, inputs)."""
        xp = array_namespace(self.scales)
        scales = xp.repeat(self.scales, self.layout.group, axis=1)[:, :inputs]
        zeros = xp.repeat(xp.astype(self.zeros, xp.float32), self.layout.group, axis=1)[:, :inputs]
        return scales, zeros


def fit_grid(weights: Weights, layout: Layout, importance: NDArray[np.floating] | None = None) -> Grid:
    """Return a grid for weights of shape (outputs, inputs), from the range of each group.

    With `importance`, shape (inputs,), the range is clipped if that lowers the weighted squared error, so that outliers
    do not make the steps coarse for other weights.
    """
    return Grid(layout, *_grid(weights, importance, layout=layout))


@offloaded
def _grid(weights: Array, importance: Array, *, layout: Layout) -> tuple[Array, Array]:
    """Return the scales and zero points of `fit_grid`."""
    xp = array_namespace(weights)
    blocks = _blocks(weights, layout)
    if importance is None:
        return _fit(blocks, layout, 1.0)
    weight = _blocks(importance[None, :], layout)
    best = xp.full_like(blocks[:, :, 0], xp.inf)
    scales, zeros = xp.ones_like(best), xp.zeros_like(best, dtype=xp.uint8)
    for shrink in SHRINKS:
        tried, offsets = _fit(blocks, layout, shrink)
        step, offset = tried[..., None], xp.astype(offsets, xp.float32)[..., None]
        rounded = (xp.clip(xp.round(blocks / step) + offset, 0, layout.top) - offset) * step
        errors = xp.sum(xp.square(rounded - blocks) * weight, axis=2)
        better = errors < best
        best[better], scales[better], zeros[better] = errors[better], tried[better], offsets[better]
    return scales, zeros


def _blocks(rows: Array, layout: Layout) -> Array:
    """Return rows in float32 as groups, shape (rows, groups, group); the last group of a row ends with zeros."""
    xp = array_namespace(rows)
    outputs, inputs = rows.shape
    count = layout.groups(inputs)
    padding = xp.zeros((outputs, count * layout.group - inputs), dtype=xp.float32, device=device(rows))
    return xp.concat([xp.astype(rows, xp.float32), padding], axis=1).reshape(outputs, count, layout.group)


def round_nearest(
    weights: Weights, layout: Layout, importance: NDArray[np.floating] | None = None
) -> tuple[Codes, Grid]:
    """Return codes (outputs, inputs) and their grid, see `fit_grid`."""
    grids = [fit_grid(weights[part], layout, importance) for part in row_parts(len(weights))]
    xp = array_namespace(weights)
    scales, zeros = (xp.concat([getattr(grid, name) for grid in grids]) for name in ("scales", "zeros"))
    grid = Grid(layout, scales, zeros)
    return encode(weights, grid), grid


def encode(weights: Weights, grid: Grid) -> Codes:
    """Return the nearest code of every weight, shape (outputs, inputs)."""
    xp = array_namespace(weights)
    codes: Codes = xp.zeros_like(weights, dtype=xp.uint8)
    for part in row_parts(len(weights)):
        scales, zeros = grid.rows(part).expanded(weights.shape[1])
        codes[part] = xp.clip(xp.round(weights[part] / scales) + zeros, 0, grid.layout.top)
    return codes


def decode(codes: Codes, grid: Grid) -> NDArray[np.float32]:
    """Return the dequantized weights."""
    xp = array_namespace(codes)
    weights: NDArray[np.float32] = xp.zeros_like(codes, dtype=xp.float32)
    for part in row_parts(len(codes)):
        scales, zeros = grid.rows(part).expanded(codes.shape[1])
        weights[part] = (codes[part] - zeros) * scales
    return weights


def row_parts(count: int) -> list[slice]:
    """Return slices of at most ROWS rows."""
    return [slice(start, min(start + ROWS, count)) for start in range(0, count, ROWS)]


def _fit(blocks: Array, layout: Layout, shrink: float) -> tuple[Array, Array]:
    """Return scales and zero points for blocks (outputs, groups, group), with ranges clipped to a fraction."""
    xp = array_namespace(blocks)
    if layout.symmetric:
        # The extreme weight gets the outermost code, which is negative: the scale has the sign.
        position = xp.argmax(xp.abs(blocks), axis=2)[..., None]
        extreme = xp.take_along_axis(blocks, position, axis=2)[..., 0]
        scales = -shrink * extreme / layout.middle
        zeros = xp.full_like(scales, layout.middle, dtype=xp.uint8)
    else:
        low, high = shrink * xp.clip(xp.min(blocks, axis=2), max=0), shrink * xp.clip(xp.max(blocks, axis=2), min=0)
        scales = (high - low) / layout.top
        safe = xp.where(scales == 0, xp.ones_like(scales), scales)
        zeros = xp.astype(xp.clip(xp.round(-low / safe), 0, layout.top), xp.uint8)
    return on_host(layout.stored, xp.where(scales == 0, xp.ones_like(scales), scales)), zeros
