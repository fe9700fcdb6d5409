"""Masks of weights to prune by their scores: a fraction of every row, or two of every four neighbours."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from compression_runner.calibration.device import lowest_of_rows
from compression_runner.errors import BadRecipe

Pattern = Literal["unstructured", "2:4"]
GROUP: Final = 4
KEPT: Final = 2
Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]


def require_fit(layer: str, weight: str, inputs: int, field: str) -> None:
    """Raise BadRecipe if the inputs of a layer do not divide into groups of four.

    `weight` is its name for `exclude`, and `field` is that of the stage.
    """
    if inputs % GROUP:
        problem = f"layer {layer} has {inputs} inputs, which is not a multiple of {GROUP}"
        remedy = f'exclude: ["*{weight}"] keeps the layer unchanged; or use pattern unstructured'
        raise BadRecipe("PatternDoesNotFit", f"{field}.pattern", "2:4", problem, remedy)


def lowest_scores(scores: Scores, sparsity: float, pattern: Pattern) -> Mask:
    """Return True for the weights to prune, shape (outputs, inputs): the lowest scores of each row or group.

    Each row loses exactly its fraction, rounded down; of equal scores, the first are pruned.
    """
    if pattern == "unstructured":
        mask: Mask = lowest_of_rows(scores, int(scores.shape[1] * sparsity))
    else:
        mask = lowest_of_rows(scores.reshape(-1, GROUP), GROUP - KEPT).reshape(scores.shape)
    return mask
