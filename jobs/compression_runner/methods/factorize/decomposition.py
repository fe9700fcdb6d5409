"""What every way to decompose a weight gives: the sizes it can have, what each would lose, and the factors."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """Ways to store one layer, all of equal standing.

    `ranks` (n, d) are the ranks of each, `sizes` (n,) counts its numbers, `losses` (n,) in [0, 1] is the share of the
    energy (squared Frobenius norm) that it gives up; of the variance of the layer's outputs where inputs are known.
    """

    ranks: NDArray[np.int64]
    sizes: NDArray[np.int64]
    losses: Doubles

    def smaller_than(self, dense: int) -> "Candidates":
        """Only those with fewer numbers than the layer as it is."""
        keep = self.sizes < dense
        return Candidates(self.ranks[keep], self.sizes[keep], self.losses[keep])


@dataclass(frozen=True)
class Inputs:
    """What calibration data tells of the inputs X (count, inputs) of a weight.

    `squares` is X^T X (inputs, inputs) and `sums` (inputs,) adds up the rows. For a table, whose inputs are one-hot
    rows, both are how often each was read (inputs,).
    """

    count: float
    sums: Doubles
    squares: Doubles

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(self.count + other.count, self.sums + other.sums, self.squares + other.squares)


@dataclass(frozen=True)
class Factor:
    """One of the tensors that a weight becomes.

    A matrix is (inputs, outputs), a kernel (outputs, inputs of a group, ...) as in ONNX. `axes` are those axes of space
    in which a kernel takes over strides, pads and dilations of the convolution; all others are of size 1.
    """

    array: Floats
    axes: tuple[int, ...] = ()


class Decomposition(Protocol):
    """A weight that can be decomposed."""

    @property
    def dense(self) -> int:
        """How many numbers the weight has as it is."""

    @property
    def candidates(self) -> Candidates:
        """What can be chosen from."""

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """The factors of a candidate, in the order in which they are applied to an input."""
