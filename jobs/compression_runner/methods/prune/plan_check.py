"""Whether the 2:4 pattern fits the layers of a checkpoint, seen from the shapes in its headers."""

from collections.abc import Iterator
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.formats.source.inspection import Source
from compression_runner.methods.prune.patterns import DoesNotFit, require_fit
from compressionjob.methods.names import matches
from compressionjob.methods.prune import Prune

TABLES: Final = ("embed", "wte", "wpe", "bias")
"""Parts of the names of matrices that are no layer's weight."""
TURNED: Final = "GPT"
"""What is in the names of architectures that store a layer's inputs first."""


def check_source(parameters: Prune, source: Source, field: str) -> None:
    """Raise BadRecipe for the 2:4 pattern and a linear layer whose inputs are no multiple of four.

    What shapes cannot tell is left to the stage: graphs, and convolutions (which may be in groups).
    """
    if parameters.pattern != "2:4" or source.format != "transformers" or TURNED in source.architecture:
        return
    for tensor in _matrices(source):
        if matches(tensor.name, parameters.exclude):
            continue
        try:
            require_fit(tensor.name, tensor.name, tensor.shape[1])
        except DoesNotFit as error:
            raise BadRecipe("PatternDoesNotFit", f"{field}.pattern", "2:4", str(error), error.remedy) from error


def keeps_shapes(parameters: Prune) -> bool:
    """Return whether single weights go, and the layers stay as large as they are."""
    return parameters.method != "structured"


def _matrices(source: Source) -> Iterator[Tensor]:
    for tensor in source.tensors:
        named = tensor.name.endswith(".weight") and not any(part in tensor.name.lower() for part in TABLES)
        if named and len(tensor.shape) == 2:
            yield tensor
