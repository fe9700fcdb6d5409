"""Choose the candidate of a layer by rank or by energy."""

from typing import Final

import numpy as np

from compression_runner.calibration.budget import CandidateIndex
from compression_runner.methods.factorize.decomposition import Candidates

ROUNDING: Final = 1e-12


def by_rank(candidates: Candidates, rank: int) -> CandidateIndex:
    """Return the candidate with this rank on every side; a side with a lower full rank gets its full rank."""
    if not len(candidates.ranks):
        return None
    capped = np.minimum(candidates.ranks.max(axis=0), rank)
    matches = np.flatnonzero((candidates.ranks == capped).all(axis=1))
    return int(matches[0]) if len(matches) and (capped == rank).any() else None


def by_energy(candidates: Candidates, energy: float) -> CandidateIndex:
    """Return the smallest candidate that keeps this fraction of the energy."""
    enough = np.flatnonzero(candidates.losses <= 1.0 - energy + ROUNDING)
    if not len(enough):
        return None
    return int(enough[np.lexsort((candidates.losses[enough], candidates.sizes[enough]))[0]])
