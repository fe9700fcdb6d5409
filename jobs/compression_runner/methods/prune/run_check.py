"""Check that a model still runs after structures were removed."""

import torch

from compression_runner.artifact import Artifact
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats.probes import probes
from compression_runner.training import model


def require_running(pruned: Artifact, field: str, structure: str) -> None:
    """Load the pruned model like the next stage, and run it on example inputs.

    Raises BadRecipe with the cause if it does not run, for example because of sizes that are fixed in its code.
    """
    try:
        reloaded = model.load(pruned)
        with torch.no_grad():
            for inputs in probes(reloaded.inner, pruned.path, reloaded.interface):
                reloaded.module(*inputs)
    except LIBRARY_ERRORS as error:
        problem = f"the model does not run without some of its {structure}: {cause(error)}"
        remedy = "use another structure, or method magnitude"
        raise BadRecipe("UnsupportedModel", field, structure, problem, remedy) from error
