"""Whether the 2:4 pattern fits the layers of a checkpoint, seen from the shapes in its headers."""

from collections.abc import Iterator
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.methods.prune.patterns import DoesNotFit, require_fit
from compression_runner.preflight.source import Source
from compression_runner.preflight.tensors import Tensor
from compressionjob.methods.names import matches
from compressionjob.methods.prune import Prune
from compressionjob.spec import CompressionJobSpec

TABLES: Final = ("embed", "wte", "wpe", "bias")
"""Parts of the names of matrices that are no layer's weight."""
TURNED: Final = "GPT"
"""What is in the names of architectures that store a layer's inputs first."""


def check_patterns(spec: CompressionJobSpec, source: Source) -> None:
    """Raises BadRecipe for a 2:4 stage and a linear layer whose inputs are no multiple of four.

    What shapes cannot tell is left to the stage: graphs, convolutions (which may be in groups), and models that an
    earlier stage changes.
    """
    if source.format != "transformers" or TURNED in source.architecture:
        return
    for index, stage in enumerate(spec.pipeline):
        parameters = stage.parameters
        if not isinstance(parameters, Prune) or parameters.method == "structured":
            return
        if parameters.pattern != "2:4":
            continue
        for tensor in _matrices(source):
            if matches(tensor.name, parameters.exclude):
                continue
            try:
                require_fit(tensor.name, tensor.name, tensor.shape[1])
            except DoesNotFit as error:
                field = f"spec.pipeline[{index}].prune.pattern"
                raise BadRecipe("PatternDoesNotFit", field, "2:4", str(error), error.remedy) from error


def _matrices(source: Source) -> Iterator[Tensor]:
    for tensor in source.tensors:
        named = tensor.name.endswith(".weight") and not any(part in tensor.name.lower() for part in TABLES)
        if named and len(tensor.shape) == 2:
            yield tensor
