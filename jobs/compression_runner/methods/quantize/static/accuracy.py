"""Gives back to floats what hurts most, until the loss on calibration samples is within a limit.

Each part is quantized on its own, and the cosine of the answers tells how much it hurts (per-layer sensitivity, as in
Dong et al. 2019, arXiv:1905.03696, measured instead of estimated). How many of the worst go back is found by bisection,
since giving back more hardly ever loses more.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from compression_runner.methods.quantize.static.fidelity import Fidelity

Measure = Callable[[Collection[str]], Fidelity]
"""The fidelity of the graph with these parts in INT8."""


@dataclass(frozen=True)
class Kept:
    """The parts that stay in INT8, those that went back with the loss of each alone, and what is lost now."""

    parts: tuple[str, ...]
    given_back: dict[str, float]
    fidelity: Fidelity


class TooLossy(Exception):
    """Not even one part alone can be quantized within the limit."""


def give_back(
    parts: Sequence[str],
    measure: Measure,
    limit: float,
    advance: Callable[[float], None] = lambda _share: None,
) -> Kept:
    """Keeps as many of the parts as the limit on Fidelity.drop allows, those first that hurt least.

    Raises TooLossy where none can be kept.
    """
    whole = measure(parts)
    if whole.drop <= limit:
        return Kept(tuple(parts), {}, whole)
    losses = {}
    for index, part in enumerate(parts):
        losses[part] = 1.0 - measure([part]).cosine
        advance(index / len(parts))
    worst_first = sorted(parts, key=lambda part: (-losses[part], parts.index(part)))

    def without(count: int) -> tuple[str, ...]:
        gone = set(worst_first[:count])
        return tuple(part for part in parts if part not in gone)

    # Giving back `low` is known to be too little; `high` is enough as far as is known.
    low, high, best = 0, len(parts), None
    while high - low > 1:
        middle = (low + high) // 2
        found = measure(without(middle))
        if found.drop <= limit:
            high, best = middle, found
        else:
            low = middle
    if best is None:
        raise TooLossy
    return Kept(without(high), {part: losses[part] for part in worst_first[:high]}, best)
