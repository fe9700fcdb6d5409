"""What the headers of a checkpoint show of a factorization that cannot succeed."""

from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compressionjob.methods.factorize import Factorize

CONVOLUTIONS: Final = ("tucker", "cp")
"""Methods that take convolutions alone."""
LEAST: Final = 3
"""Dimensions of a convolution's weight at least."""


def check_source(parameters: Factorize, source: Source, field: str) -> None:
    """Raise BadRecipe where a method takes convolutions, and a checkpoint has no weight that could be of one."""
    if source.format != "transformers" or parameters.method not in CONVOLUTIONS:
        return
    if not any(len(tensor.shape) >= LEAST and "weight" in tensor.name for tensor in source.tensors):
        raise not_its_kind(field, parameters.method, "convolutions", "none")


def not_its_kind(field: str, method: str, kinds: str, present: str) -> BadRecipe:
    """Return what refuses a model without the layers that a method takes."""
    problem = f"{method} takes {kinds}, and the model has {present}"
    return BadRecipe("NothingToFactorize", field, method, problem, "choose another method, or leave it out")
