"""Detect factorizations that must fail from the headers of a model."""

from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.names import matches
from compressionjob.tasks import TASKS

CONVOLUTIONS: Final = ("tucker", "cp")
"""Methods for convolutions only."""
KERNELS: Final = frozenset({"Conv"})
MATRICES: Final = frozenset({"MatMul", "Gemm", "Einsum", "Gather"})
"""Operators of graphs whose weights may be matrices."""
MATRIX: Final = 2
MIN_KERNEL_AXES: Final = 3
"""Minimum axes of the weight of a convolution."""


def check_source(parameters: Factorize, source: Source, field: str) -> None:
    """Raise BadRecipe if a model has no weight for the method, or the rank makes no weight of a checkpoint smaller."""
    if source.format == "onnx":
        _require_layers(parameters, source, field)
    if source.format != "transformers":
        return
    if parameters.method in CONVOLUTIONS:
        _require_kernels(parameters, source, field)
    elif parameters.rank is not None:
        _require_smaller(parameters, parameters.rank, source, field)


def _require_layers(parameters: Factorize, source: Source, field: str) -> None:
    """Raise BadRecipe for a graph without the operators whose weights the method takes."""
    convolutions = parameters.method in CONVOLUTIONS
    if not source.layers & (KERNELS if convolutions else MATRICES):
        kinds = "convolutions" if convolutions else "linears and embeddings"
        raise missing_kind_error(field, parameters.method, kinds, ", ".join(sorted(source.layers)) or "no layers")


def _require_kernels(parameters: Factorize, source: Source, field: str) -> None:
    kernels = [tensor for tensor in source.tensors if len(tensor.shape) >= MIN_KERNEL_AXES and "weight" in tensor.name]
    if not kernels:
        raise missing_kind_error(field, parameters.method, "convolutions", "none")
    # Token states have many channels, so a kernel with one channel is grouped.
    if TASKS[source.task].content == "text" and all(kernel.shape[1] == 1 for kernel in kernels):
        raise missing_kind_error(field, parameters.method, "convolutions", "only those in groups")


def _require_smaller(parameters: Factorize, rank: int, source: Source, field: str) -> None:
    matrices = [
        tensor
        for tensor in source.tensors
        if len(tensor.shape) == MATRIX and tensor.name.endswith(".weight") and included(tensor.name, parameters)
    ]
    if matrices and not any(rank * sum(each.shape) < each.elements for each in matrices):
        raise nothing_smaller_error(field, rank, len(matrices))


def included(name: str, parameters: Factorize) -> bool:
    """Return whether the parameters select a weight of this name."""
    return matches(name, parameters.include) and not matches(name, parameters.exclude)


def nothing_smaller_error(field: str, value: object, count: int) -> BadRecipe:
    """Return the error for a size that makes no layer smaller."""
    problem = f"none of the {count} layers would become smaller"
    return BadRecipe("NothingSmaller", field, value, problem, "ask for a smaller rank, less energy or a budget")


def missing_kind_error(field: str, method: str, kinds: str, present: str) -> BadRecipe:
    """Return the error for a model without layers for the method."""
    problem = f"{method} takes {kinds}, and the model has {present}"
    return BadRecipe("NothingToFactorize", field, method, problem, "choose another method, or remove the stage")
