"""Which weights become zero, by a score for each: a share of every row, or two of every four neighbours."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Pattern = Literal["unstructured", "2:4"]
GROUP: Final = 4
KEPT: Final = 2
Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]


class DoesNotFit(Exception):
    """A layer whose inputs do not divide into groups of four; `weight` is what `exclude` would name."""

    def __init__(self, layer: str, weight: str, inputs: int) -> None:
        self.remedy = f'exclude: ["*{weight}"] leaves the layer as it is; or use pattern unstructured'
        super().__init__(f"layer {layer} has {inputs} inputs, which is no multiple of {GROUP}")


def require_fit(layer: str, weight: str, inputs: int) -> None:
    """Raises DoesNotFit where so many inputs do not divide into groups of four."""
    if inputs % GROUP:
        raise DoesNotFit(layer, weight, inputs)


def lowest(scores: Scores, sparsity: float, pattern: Pattern) -> Mask:
    """True for the weights that go, shape (outputs, inputs): those of the lowest score of their row or group.

    Each row loses exactly its share, rounded down; of equal scores the first go.
    """
    if pattern == "unstructured":
        return _lowest(scores, int(scores.shape[1] * sparsity))
    return _lowest(scores.reshape(-1, GROUP), GROUP - KEPT).reshape(scores.shape)


def _lowest(rows: Scores, count: int) -> Mask:
    goes = np.zeros(rows.shape, np.bool_)
    places = np.argsort(rows, axis=1, kind="stable")[:, :count]
    np.put_along_axis(goes, places, True, axis=1)
    return goes
