"""Restore the most sensitive parts to floats, until the loss on calibration samples is within a limit.

Each part is quantized separately, and the cosine of the outputs measures its sensitivity (per-layer sensitivity as in
Dong et al. 2019, arXiv:1905.03696, measured instead of estimated). Bisection determines how many of the most sensitive
parts to restore, since restoring more parts hardly ever increases the loss.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from compression_runner.methods.quantize.static.fidelity import Fidelity

Measure = Callable[[Collection[str]], Fidelity]
"""The fidelity of the graph with these parts in INT8."""


@dataclass(frozen=True)
class QuantizedParts:
    """The parts in INT8, the restored parts with the loss of each alone, and the remaining loss."""

    parts: tuple[str, ...]
    restored: dict[str, float]
    fidelity: Fidelity


class TooLossy(Exception):
    """No part can be quantized within the limit."""


def restore_floats(
    parts: Sequence[str],
    measure: Measure,
    limit: float,
    advance: Callable[[float], None] = lambda _share: None,
) -> QuantizedParts:
    """Keep as many parts in INT8 as the limit on Fidelity.drop allows, the least sensitive first.

    Raises TooLossy if none can be kept.
    """
    fidelity = measure(parts)
    if fidelity.drop <= limit:
        return QuantizedParts(tuple(parts), {}, fidelity)
    losses = {}
    for index, part in enumerate(parts):
        losses[part] = 1.0 - measure([part]).cosine
        advance(index / len(parts))
    most_sensitive = sorted(parts, key=lambda part: (-losses[part], parts.index(part)))

    def without(count: int) -> tuple[str, ...]:
        floats = set(most_sensitive[:count])
        return tuple(part for part in parts if part not in floats)

    # Restoring `low` parts is known to be too few; `high` is assumed to be enough.
    low, high, best = 0, len(parts), None
    while high - low > 1:
        middle = (low + high) // 2
        fidelity = measure(without(middle))
        if fidelity.drop <= limit:
            high, best = middle, fidelity
        else:
            low = middle
    if best is None:
        raise TooLossy
    return QuantizedParts(without(high), {part: losses[part] for part in most_sensitive[:high]}, best)
