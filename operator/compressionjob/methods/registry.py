"""Registry of methods. A new one is a file beside this one, and a field here."""

from typing import TYPE_CHECKING, Final, get_args

from pydantic import Field

from compressionjob.field_types import Schema
from compressionjob.methods import quantize
from compressionjob.methods.distill import Distill
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.family import Family, family
from compressionjob.methods.pack import Pack
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.prune import Prune
from compressionjob.methods.recover import Recover

if TYPE_CHECKING:
    Quantize = Family
else:
    Quantize = family(
        "Quantize",
        "Store numbers with fewer bits, and compute with fewer bits where the method allows it.",
        quantize.METHODS,
    )


class MethodChoice(Schema):
    """One field for each method; a stage sets exactly one."""

    prune: Prune | None = Field(default=None, description="Set weights to zero, or remove structures.")
    factorize: Factorize | None = Field(default=None, description="Store weights as products of smaller ones.")
    distill: Distill | None = Field(default=None, description="Train a smaller model on the outputs of a larger one.")
    recover: Recover | None = Field(
        default=None, description="Train again to recover the quality that a lossy stage lost."
    )
    quantize: Quantize | None = Field(default=None, description="Store numbers with fewer bits.")
    pack: Pack | None = Field(default=None, description="Pack the files without loss.")


METHODS: Final[dict[str, type[Parameters]]] = {
    name: get_args(field.annotation)[0] for name, field in MethodChoice.model_fields.items()
}
"""Name of a stage -> class of its parameters."""
