"""The interface of a model of any format to the factorize stage."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from compression_runner.methods.factorize.decomposition import Factor, Floats, InputMoments

Kind = Literal["linear", "embedding", "convolution"]


@dataclass(frozen=True)
class Target:
    """A weight that can be factorized.

    `load` returns (inputs, outputs) for a linear layer, (rows, width) for an embedding, and (outputs, inputs, ...) for
    a convolution. `unit` is the bytes of one number; `shared` is true if the weight has other uses too.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    unit: int
    load: Callable[[], Floats]
    shared: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        product = 1
        for length in self.shape:
            product *= length
        return product


class Factorizable(Protocol):
    """A model whose weights can be listed, calibrated and replaced."""

    @property
    def size_bytes(self) -> int:
        """The reference size of a budget."""

    def targets(self) -> Sequence[Target]:
        """Return the weights in model order."""

    def inputs(self, targets: Sequence[Target]) -> Mapping[str, InputMoments]:
        """Return name -> moments of the inputs on the calibration data, without weights that got no input."""

    def changes(self, substitutes: Iterable[tuple[Target, Floats]]) -> list[float]:
        """Return, for each substitute of one weight, the relative squared change of the outputs on calibration data."""

    def replace(self, factors: Mapping[str, tuple[Factor, ...]]) -> None:
        """Replace each named target by its factors."""
