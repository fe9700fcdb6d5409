"""Pruning: weights that matter least become zero, or whole structures of them go."""

from typing import Literal

from pydantic import Field, model_validator

from compressionjob.data import DataRole
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.schema import Fraction, cel, with_rules

_STRUCTURE_TEXT = "structure belongs to method structured, which needs it"
_STRUCTURE_RULE = "(self.method == 'structured') == has(self.structure)"


class Prune(Parameters):
    """Take away what matters least.

    Zeros make a model sparser: smaller once packed, not faster by itself. Structures make it smaller and faster.
    """

    model_config = with_rules(cel(_STRUCTURE_RULE, _STRUCTURE_TEXT))

    method: Literal["magnitude", "structured"] = Field(
        default="magnitude",
        description="magnitude: the weights nearest to zero become zero (Han et al. 2015). structured: whole channels, "
        "neurons, heads or layers go.",
    )
    scope: Literal["global", "layer"] = Field(
        default="global",
        description="One ranking for all layers together (global), or the same share of every layer (layer).",
    )
    sparsity: Fraction = Field(
        description='Share of the weights that become zero, or of the structures that go, above 0 and below 1: "0.5".'
    )
    structure: Literal["channels", "neurons", "heads", "layers"] | None = Field(
        default=None,
        description="What goes: channels of convolutions, neurons of feed-forward blocks, attention heads, or whole "
        "layers (those that change least on the calibration data).",
    )

    @model_validator(mode="after")
    def _structure_fits_method(self) -> "Prune":
        if (self.method == "structured") != (self.structure is not None):
            raise ValueError(_STRUCTURE_TEXT)
        return self

    def promise(self) -> Promise:
        """Never larger. Quality depends on the sparsity, so nothing is promised above a half, or for structures."""
        if self.method == "structured":
            return Promise(max_size_ratio=1.0, min_speedup=None, max_quality_drop=None)
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=0.05 if self.sparsity <= 0.5 else None)

    def needs(self) -> frozenset[DataRole]:
        """Which layers change little is seen on data."""
        return frozenset({"calibration"}) if self.structure == "layers" else frozenset()
