"""What the headers of a checkpoint show of a factorization that cannot succeed."""

from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.names import matches
from compressionjob.tasks import TASKS

CONVOLUTIONS: Final = ("tucker", "cp")
"""Methods that take convolutions alone."""
MATRIX: Final = 2
LEAST: Final = 3
"""Dimensions of a convolution's weight at least."""


def check_source(parameters: Factorize, source: Source, field: str) -> None:
    """Raise BadRecipe where a checkpoint has no weight that a method takes, or a rank makes none of them smaller."""
    if source.format != "transformers":
        return
    if parameters.method in CONVOLUTIONS:
        _require_kernels(parameters, source, field)
    elif parameters.rank is not None:
        _require_smaller(parameters, parameters.rank, source, field)


def _require_kernels(parameters: Factorize, source: Source, field: str) -> None:
    kernels = [tensor for tensor in source.tensors if len(tensor.shape) >= LEAST and "weight" in tensor.name]
    if not kernels:
        raise not_its_kind(field, parameters.method, "convolutions", "none")
    # The states of tokens have many channels: a kernel of one channel belongs to a group.
    if TASKS[source.task].content == "text" and all(kernel.shape[1] == 1 for kernel in kernels):
        raise not_its_kind(field, parameters.method, "convolutions", "only those in groups")


def _require_smaller(parameters: Factorize, rank: int, source: Source, field: str) -> None:
    matrices = [
        tensor
        for tensor in source.tensors
        if len(tensor.shape) == MATRIX and tensor.name.endswith(".weight") and included(tensor.name, parameters)
    ]
    if matrices and not any(rank * sum(each.shape) < each.elements for each in matrices):
        raise nothing_smaller(field, rank, len(matrices))


def included(name: str, parameters: Factorize) -> bool:
    """Return whether the parameters mean a weight of this name."""
    return matches(name, parameters.include) and not matches(name, parameters.exclude)


def nothing_smaller(field: str, value: object, count: int) -> BadRecipe:
    """Return what refuses a size that no layer would become smaller with."""
    problem = f"none of the {count} layers would become smaller"
    return BadRecipe("NothingSmaller", field, value, problem, "ask for a smaller rank, less energy or a budget")


def not_its_kind(field: str, method: str, kinds: str, present: str) -> BadRecipe:
    """Return what refuses a model without the layers that a method takes."""
    problem = f"{method} takes {kinds}, and the model has {present}"
    return BadRecipe("NothingToFactorize", field, method, problem, "choose another method, or leave it out")
