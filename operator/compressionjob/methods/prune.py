"""Magnitude pruning: the weights nearest to zero become zero (Han et al. 2015, arXiv:1506.02626)."""

from typing import Literal

from pydantic import Field

from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.schema import Fraction


class Prune(Parameters):
    """Set the smallest weights to zero. Makes a model sparser: smaller once packed, not faster by itself."""

    method: Literal["magnitude"] = Field(default="magnitude", description="How weights are chosen: by magnitude.")
    scope: Literal["global", "layer"] = Field(
        default="global",
        description="One threshold for all layers together (global), or the same sparsity in every layer (layer).",
    )
    sparsity: Fraction = Field(description='Share of the weights that become zero, above 0 and below 1: "0.5".')

    def promise(self) -> Promise:
        """Zeros cost nothing: never larger. Quality depends on the sparsity, so nothing is promised above a half."""
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=0.05 if self.sparsity <= 0.5 else None)
