"""Pruning: the least important weights become zero, or whole structures are removed."""

from typing import ClassVar, Final, Literal

from pydantic import Field, model_validator

from compressionjob.field_types import Fraction, cel, with_rules
from compressionjob.methods.names import NamePatterns
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.predicate import AnyOf, OneOf, Predicate
from compressionjob.methods.promise import Promise

_STRUCTURE_TEXT = "structure belongs to method structured, which needs it"
_STRUCTURE_RULE = "(self.method == 'structured') == has(self.structure)"
_SCOPE_TEXT = (
    "scope belongs to methods magnitude and structured; wanda and sparsegpt prune the same share of every layer"
)
_SCOPE_RULE = "!has(self.scope) || self.method in ['magnitude', 'structured']"
_LAMP_TEXT = "scope lamp belongs to method magnitude; use global or layer"
_LAMP_RULE = "!has(self.scope) || self.scope != 'lamp' || self.method == 'magnitude'"
_PATTERN_TEXT = 'pattern "2:4" zeroes two of every four weights: it takes sparsity "0.5", no scope and no structure'
_PATTERN_RULE = (
    "self.pattern != '2:4' || (self.method != 'structured' && !has(self.scope) && double(self.sparsity) == 0.5)"
)
_EXCLUDE_TEXT = "exclude belongs to methods magnitude, wanda and sparsegpt; remove it"
_EXCLUDE_RULE = "self.exclude.size() == 0 || self.method != 'structured'"
CALIBRATED: Final = ("wanda", "sparsegpt")
"""Methods that observe activations."""
Scope = Literal["global", "layer", "lamp"]


class Prune(Parameters):
    """Remove the least important weights or structures.

    Zeros make a model sparser: smaller once packed, but not faster. Removed structures make it smaller and faster.
    """

    model_config = with_rules(
        cel(_STRUCTURE_RULE, _STRUCTURE_TEXT),
        cel(_SCOPE_RULE, _SCOPE_TEXT),
        cel(_LAMP_RULE, _LAMP_TEXT),
        cel(_PATTERN_RULE, _PATTERN_TEXT),
        cel(_EXCLUDE_RULE, _EXCLUDE_TEXT),
    )
    observes: ClassVar[Predicate] = AnyOf(OneOf("method", CALIBRATED), OneOf("structure", ("layers",)))

    method: Literal["magnitude", "wanda", "sparsegpt", "structured"] = Field(
        default="magnitude",
        description="magnitude: the weights nearest to zero become zero (Han et al. 2015). wanda: the weights with the "
        "least effect on calibration data become zero. sparsegpt: like wanda, and the remaining weights are updated to "
        "compensate. structured: whole channels, neurons, heads or layers are removed.",
    )
    scope: Scope | None = Field(
        default=None,
        description="For magnitude and structured: one ranking of all layers together (global, the default), or the "
        "same share of every layer (layer). For magnitude also lamp: one ranking in which a weight is compared with "
        "the larger weights of its layer (Lee et al. 2021), which spares small, early layers.",
    )
    pattern: Literal["unstructured", "2:4"] = Field(
        default="unstructured",
        description="Positions of zeros: anywhere, or two in every four neighbours along a layer's inputs (2:4), which "
        "some GPUs multiply faster.",
    )
    sparsity: Fraction = Field(
        description='Share of weights that become zero, or of structures that are removed, above 0 and below 1: "0.5".'
    )
    structure: Literal["channels", "neurons", "heads", "layers"] | None = Field(
        default=None,
        description="Structures to remove: channels of convolutions, neurons of feed-forward blocks, attention heads, "
        "or whole layers (those that change their inputs least on the calibration data).",
    )
    exclude: NamePatterns = Field(
        default=[],
        description='Layers to leave as they are: patterns of weight names, * stands for any part: "*embedder*".',
    )

    @model_validator(mode="after")
    def _structure_fits_method(self) -> "Prune":
        if (self.method == "structured") != (self.structure is not None):
            raise ValueError(_STRUCTURE_TEXT)
        if self.scope is not None and self.method in CALIBRATED:
            raise ValueError(_SCOPE_TEXT)
        if self.scope == "lamp" and self.method != "magnitude":
            raise ValueError(_LAMP_TEXT)
        free = self.method != "structured" and self.scope is None and self.sparsity == 0.5
        if self.pattern == "2:4" and not free:
            raise ValueError(_PATTERN_TEXT)
        if self.exclude and self.method == "structured":
            raise ValueError(_EXCLUDE_TEXT)
        return self

    @property
    def effective_scope(self) -> Scope:
        """Scope of the ranking: global by default."""
        return self.scope or "global"

    def promise(self) -> Promise:
        """Return that the model does not grow. Quality is promised for zeros up to sparsity 0.5 only."""
        if self.method == "structured":
            return Promise(max_size_ratio=1.0, min_speedup=None, max_quality_drop=None)
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=0.05 if self.sparsity <= 0.5 else None)
