"""Select the layers to factorize, and their ranks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from compression_runner.calibration.budget import CandidateIndex, LayerCandidates, allocate, most_saving
from compression_runner.errors import BadRecipe
from compression_runner.methods.factorize import allocation
from compression_runner.methods.factorize.cp import CanonicalPolyadic
from compression_runner.methods.factorize.decomposition import Decomposition, Factor, Floats, InputMoments
from compression_runner.methods.factorize.low_rank import LowRank
from compression_runner.methods.factorize.model import Factorizable, Kind, Target
from compression_runner.methods.factorize.plan_check import included, missing_kind_error, nothing_smaller_error
from compression_runner.methods.factorize.pointwise import Pointwise
from compression_runner.methods.factorize.semi_nonnegative import SemiNonnegative
from compression_runner.methods.factorize.tucker import Tucker
from compressionjob.methods.factorize import Factorize

KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "svd": ("linear", "embedding"),
    "nmf": ("linear", "embedding"),
    "tucker": ("convolution",),
    "cp": ("convolution",),
}
PROBED_LOSS: Final = 0.05
"""Sensitivity is measured with the largest candidate that loses at least this fraction of the layer's energy."""
NONE: Final = "none in floating-point numbers outside of bodies of If, Loop and Scan"
OVERHEAD: Final = 512
"""Maximum bytes of the nodes of a factorized layer."""


@dataclass
class LayerPlan:
    """A target with its decomposition, sensitivity and chosen candidate."""

    target: Target
    decomposition: Decomposition
    sensitivity: float = 1.0
    choice: CandidateIndex = None

    @property
    def ranks(self) -> tuple[int, ...]:
        """The chosen ranks."""
        return tuple(int(rank) for rank in self.decomposition.candidates.ranks[self.choice])

    def factors(self) -> tuple[Factor, ...]:
        """Return the chosen factors."""
        return self.decomposition.factors(self.ranks)

    def details(self) -> dict[str, Any]:
        """Return the details of the layer for the report."""
        target, candidates = self.target, self.decomposition.candidates
        details: dict[str, Any] = {"name": target.name, "kind": target.kind, "shape": list(target.shape)}
        if self.choice is None:
            return {**details, "kept": "dense"}
        return {
            **details,
            "rank": list(self.ranks) if len(self.ranks) > 1 else self.ranks[0],
            "sizeRatio": round(float(candidates.sizes[self.choice]) / target.size, 4),
            "lost": round(float(candidates.losses[self.choice]), 6),
        }


def select_targets(targets: Sequence[Target], parameters: Factorize, field: str) -> list[Target]:
    """Return the targets that the parameters select.

    Raises BadRecipe if there are none.
    """
    kinds = KINDS[parameters.method]
    known = [target for target in targets if target.kind in kinds]
    selected = [target for target in known if included(target.name, parameters)]
    if selected:
        return selected
    if known:
        problem = f"include and exclude select none of the {len(known)} layers"
        raise BadRecipe("NothingToFactorize", field, ", ".join(parameters.include), problem, "change the patterns")
    present = ", ".join(sorted({f"{target.kind}s" for target in targets})) or NONE
    raise missing_kind_error(field, parameters.method, " and ".join(f"{kind}s" for kind in kinds), present)


def reason_to_keep(target: Target) -> str:
    """Return why a selected weight is not decomposed; empty if it is."""
    if target.shared:
        return "shared"
    # Tables may mark rows with minus infinity.
    return "" if np.isfinite(target.load()).all() else "not finite"


def decompose(target: Target, parameters: Factorize, inputs: InputMoments | None) -> Decomposition:
    """Return the decomposition of one target."""
    weight: Floats = target.load()
    if target.kind == "convolution":
        if weight[0, 0].size == 1:
            return Pointwise(weight)
        kind = Tucker if parameters.method == "tucker" else CanonicalPolyadic
        return kind(weight, parameters.rank)
    return (SemiNonnegative if parameters.method == "nmf" else LowRank)(weight, inputs)


def choose_ranks(layers: Sequence[LayerPlan], parameters: Factorize, size_bytes: int, field: str) -> None:
    """Set the choice of each layer.

    Raises BadRecipe if the budget cannot be met, or no layer would become smaller.
    """
    if parameters.budget is not None:
        _by_budget(layers, parameters.budget, size_bytes, field)
    else:
        for layer in layers:
            candidates = layer.decomposition.candidates
            if parameters.rank is not None:
                choice = allocation.by_rank(candidates, parameters.rank)
            else:
                choice = allocation.by_energy(candidates, parameters.energy or 1.0)
            smaller = choice is not None and candidates.sizes[choice] < layer.decomposition.dense
            layer.choice = choice if smaller else None
    if all(layer.choice is None for layer in layers):
        value = parameters.rank or parameters.energy or parameters.budget
        raise nothing_smaller_error(field, value, len(layers))


def _by_budget(layers: Sequence[LayerPlan], budget: float, size_bytes: int, field: str) -> None:
    candidates = [_layer_candidates(layer) for layer in layers]
    save = int((1.0 - budget) * size_bytes) + OVERHEAD * len(layers) + 1
    choices = allocate(candidates, save)
    if choices is None:
        least = 1.0 - (most_saving(candidates) - OVERHEAD * len(layers)) / size_bytes
        problem = f"with all layers at their lowest rank the model still has {least:.3f} of its size"
        raise BadRecipe("BudgetOutOfReach", field, budget, problem, "ask for a larger budget, or include more layers")
    for layer, choice in zip(layers, choices, strict=True):
        layer.choice = choice


def _layer_candidates(layer: LayerPlan) -> LayerCandidates:
    candidates = layer.decomposition.candidates
    return LayerCandidates(candidates.sizes, candidates.losses, layer.target.size, layer.target.unit, layer.sensitivity)


def measure_sensitivities(
    layers: Sequence[LayerPlan], model: Factorizable, product: Callable[[Target, tuple[Factor, ...]], Floats]
) -> None:
    """Set the sensitivity of each layer: relative change of the model's outputs per lost fraction of its energy."""
    probes = [_probe(layer) for layer in layers]
    measured = [(layer, probe) for layer, probe in zip(layers, probes, strict=True) if probe is not None]
    substitutes = (
        (layer.target, product(layer.target, layer.decomposition.factors(ranks))) for layer, (ranks, _) in measured
    )
    for (layer, (_, loss)), change in zip(measured, model.changes(substitutes), strict=True):
        layer.sensitivity = change / loss


def _probe(layer: LayerPlan) -> tuple[tuple[int, ...], float] | None:
    candidates = layer.decomposition.candidates.smaller_than(layer.decomposition.dense)
    if not len(candidates.losses) or candidates.losses.max() <= 0:
        return None
    enough = candidates.losses >= min(PROBED_LOSS, candidates.losses.max())
    best = int(candidates.losses[enough].argmin())
    ranks = tuple(int(rank) for rank in candidates.ranks[enough][best])
    return ranks, float(candidates.losses[enough][best])
