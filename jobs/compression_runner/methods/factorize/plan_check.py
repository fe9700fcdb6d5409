"""What the headers of a checkpoint show of a factorization that cannot succeed."""

from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compressionjob.methods.factorize import Factorize
from compressionjob.tasks import TASKS

CONVOLUTIONS: Final = ("tucker", "cp")
"""Methods that take convolutions alone."""
LEAST: Final = 3
"""Dimensions of a convolution's weight at least."""


def check_source(parameters: Factorize, source: Source, field: str) -> None:
    """Raise BadRecipe where a method takes convolutions, and a checkpoint has no weight that could be of one."""
    if source.format != "transformers" or parameters.method not in CONVOLUTIONS:
        return
    kernels = [tensor for tensor in source.tensors if len(tensor.shape) >= LEAST and "weight" in tensor.name]
    if not kernels:
        raise not_its_kind(field, parameters.method, "convolutions", "none")
    # The states of tokens have many channels: a kernel of one channel belongs to a group.
    if TASKS[source.task].content == "text" and all(kernel.shape[1] == 1 for kernel in kernels):
        raise not_its_kind(field, parameters.method, "convolutions", "only those in groups")


def not_its_kind(field: str, method: str, kinds: str, present: str) -> BadRecipe:
    """Return what refuses a model without the layers that a method takes."""
    problem = f"{method} takes {kinds}, and the model has {present}"
    return BadRecipe("NothingToFactorize", field, method, problem, "choose another method, or leave it out")
