"""Which candidate a layer gets by rank or by energy."""

from typing import Final

import numpy as np

from compression_runner.calibration.budget import Choice
from compression_runner.methods.factorize.decomposition import Candidates

ROUNDING: Final = 1e-12


def by_rank(candidates: Candidates, rank: int) -> Choice:
    """The candidate of this rank on every side, or of the full rank on a side that has no more."""
    if not len(candidates.ranks):
        return None
    wanted = np.minimum(candidates.ranks.max(axis=0), rank)
    found = np.flatnonzero((candidates.ranks == wanted).all(axis=1))
    return int(found[0]) if len(found) and (wanted == rank).any() else None


def by_energy(candidates: Candidates, energy: float) -> Choice:
    """The smallest candidate that keeps this share of the energy."""
    enough = np.flatnonzero(candidates.losses <= 1.0 - energy + ROUNDING)
    if not len(enough):
        return None
    return int(enough[np.lexsort((candidates.losses[enough], candidates.sizes[enough]))[0]])
