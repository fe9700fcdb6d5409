"""Weights on a coarse grid."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import DTYPE_TEXT, METHOD_TEXT, Quantizer


class Coarse(Quantizer):
    """Weights on a grid of few steps."""

    variant: ClassVar[str] = "coarse"
    summary: ClassVar[str] = "weights on a coarse grid"

    method: Literal["coarse"] = Field(default="coarse", description=METHOD_TEXT)
    dtype: Literal["int8"] = Field(default="int8", description=DTYPE_TEXT)
    steps: Annotated[int, Field(ge=2, le=64)] | None = Field(default=None, description="Steps of the grid (default 8).")

    def promise(self) -> Promise:
        """Return bounds on size, speed and quality; this method promises none."""
        return Promise()
