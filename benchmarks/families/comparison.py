"""Compare the runner's answers with those of the model's own library."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TOLERANCE: Final = 1e-3
"""Relative to the largest value: a graph and torch add in different orders, and layers amplify the difference."""


@dataclass(frozen=True)
class Answers:
    """One row or text for each sample; `names` are those of the columns, if they are classes."""

    values: NDArray[Any] | None = None
    texts: list[str] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """The largest difference, relative to the largest value, or the share of different texts; `why` explains it."""

    size: float
    why: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both answers are equal within TOLERANCE."""
        return self.size <= TOLERANCE


def difference(ours: Answers, theirs: Answers) -> Difference:
    """Return the difference of two sides; infinite for different shapes or classes."""
    if theirs.texts is not None:
        return _of_texts(ours.texts or [], theirs.texts)
    one, other = _values(ours), _values(theirs)
    if one.shape != other.shape:
        return Difference(np.inf, f"shapes {one.shape} and {other.shape}")
    if set(ours.names) != set(theirs.names):
        return Difference(np.inf, f"classes {', '.join(ours.names)} and {', '.join(theirs.names)}")
    if ours.names:
        one = one[:, [ours.names.index(name) for name in theirs.names]]
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return Difference(np.inf, "answers that are not finite")
    size = float(np.abs(one - other).max() / max(1e-6, float(np.abs(other).max())))
    return Difference(size, "" if size <= TOLERANCE else "values")


def _of_texts(ours: list[str], theirs: list[str]) -> Difference:
    if len(ours) != len(theirs):
        return Difference(np.inf, f"{len(ours)} and {len(theirs)} texts")
    wrong = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    why = f"{wrong[0][0]!r} and {wrong[0][1]!r}"[:120] if wrong else ""
    return Difference(len(wrong) / max(1, len(theirs)), why)


def _values(answers: Answers) -> NDArray[np.float64]:
    return np.asarray(answers.values, dtype=np.float64)
