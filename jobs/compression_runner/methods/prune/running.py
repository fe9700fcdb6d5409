"""Whether a model still runs after structures were taken out of it."""

import torch

from compression_runner.artifact import Artifact
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats.probes import probes
from compression_runner.training import model


def require_running(pruned: Artifact, field: str, structure: str) -> None:
    """Load the pruned model as the next stage will, and run it on trial inputs.

    Raises BadRecipe with the cause where it does not run: sizes that its code has beside the weights no longer fit.
    """
    try:
        again = model.load(pruned)
        with torch.no_grad():
            for inputs in probes(again.inner, pruned.path, again.interface):
                again.module(*inputs)
    except LIBRARY_ERRORS as error:
        problem = f"the model does not run without some of its {structure}: {cause(error)}"
        remedy = "use another structure, or method magnitude"
        raise BadRecipe("UnsupportedModel", field, structure, problem, remedy) from error
