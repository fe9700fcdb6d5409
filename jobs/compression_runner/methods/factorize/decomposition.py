"""The interface of decompositions of a weight: candidate sizes, their losses, and the factors."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """Candidates for the factors of one layer.

    `ranks` (n, d) are their ranks, `sizes` (n,) their numbers of elements, and `losses` (n,) in [0, 1] the lost
    fraction of the energy (squared Frobenius norm), or of the variance of the layer's outputs if inputs are known.
    """

    ranks: NDArray[np.int64]
    sizes: NDArray[np.int64]
    losses: Doubles

    def smaller_than(self, dense: int) -> "Candidates":
        """Return the candidates with fewer elements than the unchanged layer."""
        keep = self.sizes < dense
        return Candidates(self.ranks[keep], self.sizes[keep], self.losses[keep])


@dataclass(frozen=True)
class InputMoments:
    """Moments of the inputs X (count, inputs) of a weight on calibration data.

    `squares` is X^T X (inputs, inputs) and `sums` (inputs,) the sum of the rows. For a table, whose inputs are one-hot
    rows, both are the number of reads per row (inputs,).
    """

    count: float
    sums: Doubles
    squares: Doubles

    def __add__(self, other: "InputMoments") -> "InputMoments":
        return InputMoments(self.count + other.count, self.sums + other.sums, self.squares + other.squares)


@dataclass(frozen=True)
class Factor:
    """One factor of a weight.

    A matrix is (inputs, outputs), a kernel (outputs, inputs of a group, ...) as in ONNX. `axes` are the spatial axes
    in which a kernel has the strides, pads and dilations of the convolution; its other spatial axes have size 1.
    """

    array: Floats
    axes: tuple[int, ...] = ()


class Decomposition(Protocol):
    """A weight that can be decomposed."""

    @property
    def dense(self) -> int:
        """The number of elements of the unchanged weight."""

    @property
    def candidates(self) -> Candidates:
        """The candidates to choose from."""

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Return the factors of a candidate, in the order of their application to an input."""
