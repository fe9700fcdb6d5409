"""What the stage needs of a model, whatever its format is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from compression_runner.methods.factorize.decomposition import Factor, Floats, Inputs

Kind = Literal["linear", "embedding", "convolution"]


@dataclass(frozen=True)
class Target:
    """A weight that can be factorized.

    `load` gives it as (inputs, outputs) for a linear layer, (rows, width) for an embedding, and (outputs, inputs, ...)
    for a convolution; `unit` is the bytes of one number, `shared` tells that it is used in other ways too.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    unit: int
    load: Callable[[], Floats]
    shared: bool = False

    @property
    def size(self) -> int:
        """How many numbers it has."""
        product = 1
        for length in self.shape:
            product *= length
        return product


class Factorizable(Protocol):
    """A model whose weights can be seen, observed and replaced."""

    @property
    def size_bytes(self) -> int:
        """The size that a budget refers to."""

    def targets(self) -> Sequence[Target]:
        """Its weights, in the order of the model."""

    def inputs(self, targets: Sequence[Target]) -> Mapping[str, Inputs]:
        """The inputs of each on the calibration data, by name; weights that it never reached are left out."""

    def changes(self, substitutes: Iterable[tuple[Target, Floats]]) -> list[float]:
        """How far the outputs on calibration data move, squared and relative, when one weight alone is another."""

    def replace(self, factors: Mapping[str, tuple[Factor, ...]]) -> None:
        """Puts the factors of each target, by name, in its place."""
