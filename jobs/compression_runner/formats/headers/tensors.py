"""A tensor as described by a header."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """Name, type, shape and bytes of a tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)
