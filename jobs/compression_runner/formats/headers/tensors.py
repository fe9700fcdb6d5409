"""What a header says of one tensor."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """Name, shape and type of a tensor, and the bytes that it takes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)
