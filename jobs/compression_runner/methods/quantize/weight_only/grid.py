"""Integer grids for weights: one scale and one zero point for each group of inputs of an output.

A weight is (code - zero) * scale with a code of so many bits, as onnxruntime's MatMulNBits has it (Jacob et al. 2017,
arXiv:1712.05877). Fitting a grid to the least and greatest weight of each group is round-to-nearest's whole method.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating]
Codes = NDArray[np.uint8]
ROWS: Final = 4096
"""Outputs that are worked on at once: a table of all tokens has tens of thousands."""
SHRINKS: Final = tuple(1.0 - step / 40 for step in range(21))
"""What part of the range a clipped grid may span."""


@dataclass(frozen=True)
class Layout:
    """Bits of a code, inputs in a group, and whether grids are symmetric about zero."""

    bits: int
    group: int
    symmetric: bool

    def groups(self, inputs: int) -> int:
        """Groups that so many inputs take; the last may be short."""
        return -(-inputs // self.group)

    @property
    def top(self) -> int:
        """The greatest code."""
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
        """The grid of some of the outputs."""
        return Grid(self.layout, self.scales[part], self.zeros[part])

    def expanded(self, inputs: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scale and zero point of every single weight, both (outputs, inputs)."""
        scales = np.repeat(self.scales, self.layout.group, axis=1)[:, :inputs]
        zeros = np.repeat(self.zeros.astype(np.float32), self.layout.group, axis=1)[:, :inputs]
        return scales, zeros


def fit_grid(weights: Weights, layout: Layout, importance: NDArray[np.floating] | None = None) -> Grid:
    """A grid for weights of shape (outputs, inputs), from the range of each group.

    With `importance`, shape (inputs,), the range is cut where that lowers the weighted squared error: a few outliers
    then do not make the steps coarse for all others.
    """
    outputs, inputs = weights.shape
    count = layout.groups(inputs)
    padding = count * layout.group - inputs
    blocks = np.pad(weights, ((0, 0), (0, padding))).reshape(outputs, count, layout.group).astype(np.float32)
    if importance is None:
        scales, zeros = _fit(blocks, layout, 1.0)
        return Grid(layout, scales, zeros)
    weight = np.pad(importance, (0, padding)).reshape(1, count, layout.group).astype(np.float32)
    best = np.full((outputs, count), np.inf, np.float32)
    scales, zeros = np.ones_like(best), np.zeros(best.shape, np.uint8)
    for shrink in SHRINKS:
        tried, offsets = _fit(blocks, layout, shrink)
        step, offset = tried[..., None], offsets[..., None].astype(np.float32)
        rounded = (np.clip(np.rint(blocks / step) + offset, 0, layout.top) - offset) * step
        errors = (np.square(rounded - blocks) * weight).sum(2)
        better = errors < best
        best[better], scales[better], zeros[better] = errors[better], tried[better], offsets[better]
    return Grid(layout, scales, zeros)


def round_nearest(
    weights: Weights, layout: Layout, importance: NDArray[np.floating] | None = None
) -> tuple[Codes, Grid]:
    """Codes (outputs, inputs) and the grid that they are on, see `fit_grid`."""
    grids = [fit_grid(weights[part], layout, importance) for part in row_parts(len(weights))]
    scales, zeros = (np.concatenate([getattr(grid, name) for grid in grids]) for name in ("scales", "zeros"))
    grid = Grid(layout, scales, zeros)
    return encode(weights, grid), grid


def encode(weights: Weights, grid: Grid) -> Codes:
    """The nearest code for every weight, shape (outputs, inputs)."""
    codes = np.empty(weights.shape, np.uint8)
    for part in row_parts(len(weights)):
        scales, zeros = grid.rows(part).expanded(weights.shape[1])
        codes[part] = np.clip(np.rint(weights[part] / scales) + zeros, 0, grid.layout.top)
    return codes


def decode(codes: Codes, grid: Grid) -> NDArray[np.float32]:
    """The weights that the codes stand for."""
    weights = np.empty(codes.shape, np.float32)
    for part in row_parts(len(codes)):
        scales, zeros = grid.rows(part).expanded(codes.shape[1])
        weights[part] = (codes[part] - zeros) * scales
    return weights


def row_parts(count: int) -> list[slice]:
    """Slices of ROWS rows at most."""
    return [slice(start, min(start + ROWS, count)) for start in range(0, count, ROWS)]


def _fit(blocks: NDArray[np.float32], layout: Layout, shrink: float) -> tuple[NDArray[np.float32], Codes]:
    """Scales and zero points for blocks of shape (outputs, groups, group) whose ranges are cut to a part."""
    if layout.symmetric:
        # The extreme weight gets the outermost code, which is on the negative side: the scale carries its sign.
        place = np.abs(blocks).argmax(2)[..., None]
        extreme = np.take_along_axis(blocks, place, 2)[..., 0]
        scales = -shrink * extreme / layout.middle
        zeros = np.full(scales.shape, layout.middle, np.uint8)
    else:
        low, high = shrink * np.minimum(blocks.min(2), 0), shrink * np.maximum(blocks.max(2), 0)
        scales = (high - low) / layout.top
        safe = np.where(scales == 0, 1, scales)
        zeros = np.clip(np.rint(-low / safe), 0, layout.top).astype(np.uint8)
    return np.where(scales == 0, 1, scales).astype(np.float32), zeros
