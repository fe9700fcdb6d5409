"""Factorization: weights as products of smaller ones (arXiv:2403.07378, 1410.7220, 1511.06530, 1412.6553)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from compressionjob.field_types import Fraction, cel, with_rules
from compressionjob.methods.names import NamePatterns
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.predicate import AnyOf, OneOf, Predicate
from compressionjob.methods.promise import Promise

_SIZE_TEXT = "set exactly one of rank, energy, budget"
_SIZE_RULE = "[has(self.rank), has(self.energy), has(self.budget)].filter(x, x).size() == 1"
_AWARE_TEXT = "activationAware belongs to the methods svd and nmf; remove it, or change the method"
_AWARE_RULE = "!self.activationAware || self.method == 'svd' || self.method == 'nmf'"
_SENSITIVITY_TEXT = "sensitivity outputs divides a budget among the layers; set budget, or remove sensitivity"
_SENSITIVITY_RULE = "self.sensitivity == 'weights' || has(self.budget)"


class Factorize(Parameters):
    """Store each weight as a product of smaller ones. A layer whose factors would not be smaller stays as it is."""

    model_config = with_rules(
        cel(_SIZE_RULE, _SIZE_TEXT), cel(_AWARE_RULE, _AWARE_TEXT), cel(_SENSITIVITY_RULE, _SENSITIVITY_TEXT)
    )
    observes: ClassVar[Predicate] = AnyOf(OneOf("activationAware", (True,)), OneOf("sensitivity", ("outputs",)))

    method: Literal["svd", "nmf", "tucker", "cp"] = Field(
        default="svd",
        description="svd: linear layers and embeddings, by singular values. nmf: the same layers, with a first factor "
        "without negative values. tucker, cp: convolutions, as three or four smaller ones.",
    )
    rank: Annotated[int, Field(ge=1, le=65536)] | None = Field(
        default=None, description="Rank of every layer; for tucker the rank of both input and output channels."
    )
    energy: Fraction | None = Field(
        default=None, description='Least share of the squared singular values that each layer keeps: "0.95".'
    )
    budget: Fraction | None = Field(
        default=None,
        description='Size after the stage divided by the size before: "0.9". Each layer gets the rank that loses least '
        "for the bytes that it saves.",
    )
    activation_aware: bool = Field(
        default=False,
        description="Approximate the outputs of the layers on the calibration data instead of the weights.",
    )
    sensitivity: Literal["weights", "outputs"] = Field(
        default="weights",
        description="How a budget weighs the layers. weights: equally. outputs: by how far the model's outputs change "
        "on the calibration data when only that layer is factorized.",
    )
    include: NamePatterns = Field(
        default=["*"],
        description='Layers to factorize: patterns of weight names, * stands for any part: "*embeddings*".',
    )
    exclude: NamePatterns = Field(default=[], description="Layers to leave as they are, even if include matches them.")

    @model_validator(mode="after")
    def _fits_together(self) -> "Factorize":
        if sum(value is not None for value in (self.rank, self.energy, self.budget)) != 1:
            raise ValueError(_SIZE_TEXT)
        if self.activation_aware and self.method not in ("svd", "nmf"):
            raise ValueError(_AWARE_TEXT)
        if self.sensitivity == "outputs" and self.budget is None:
            raise ValueError(_SENSITIVITY_TEXT)
        return self

    def promise(self) -> Promise:
        """Return the budget as the size, with a margin for the nodes of the graph. Quality depends on the weights."""
        most = 1.0 if self.budget is None else self.budget
        return Promise(max_size_ratio=most + 0.01, min_speedup=None, max_quality_drop=None)
