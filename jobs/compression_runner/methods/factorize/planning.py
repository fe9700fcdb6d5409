"""Which layers are factorized, and with which ranks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compression_runner.calibration.budget import Choice, Demand, by_budget, most_saved
from compression_runner.errors import BadRecipe
from compression_runner.methods.factorize import allocation
from compression_runner.methods.factorize.cp import Canonical
from compression_runner.methods.factorize.decomposition import Decomposition, Factor, Floats, Inputs
from compression_runner.methods.factorize.low_rank import LowRank
from compression_runner.methods.factorize.model import Factorizable, Kind, Target
from compression_runner.methods.factorize.plan_check import included, not_its_kind, nothing_smaller
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
"""Sensitivity is measured with the largest candidate that loses at least this share of the layer's energy."""
OVERHEAD: Final = 512
"""Bytes that the nodes of a factorized layer take at most."""


@dataclass
class Layer:
    """A target with its decomposition, and what was chosen for it."""

    target: Target
    decomposition: Decomposition
    sensitivity: float = 1.0
    choice: Choice = None

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that were chosen."""
        return tuple(int(rank) for rank in self.decomposition.candidates.ranks[self.choice])

    def factors(self) -> tuple[Factor, ...]:
        """The factors that were chosen."""
        return self.decomposition.factors(self.ranks)

    def told(self) -> dict[str, Any]:
        """For the report."""
        target, candidates = self.target, self.decomposition.candidates
        told: dict[str, Any] = {"name": target.name, "kind": target.kind, "shape": list(target.shape)}
        if self.choice is None:
            return {**told, "kept": "dense"}
        return {
            **told,
            "rank": list(self.ranks) if len(self.ranks) > 1 else self.ranks[0],
            "sizeRatio": round(float(candidates.sizes[self.choice]) / target.size, 4),
            "lost": round(float(candidates.losses[self.choice]), 6),
        }


def chosen(targets: Sequence[Target], parameters: Factorize, field: str) -> list[Target]:
    """The targets that the parameters mean.

    Raises BadRecipe where there are none.
    """
    kinds = KINDS[parameters.method]
    known = [target for target in targets if target.kind in kinds]
    wanted = [target for target in known if included(target.name, parameters)]
    if wanted:
        return wanted
    if known:
        problem = f"none of the {len(known)} layers has a name that include and exclude leave"
        raise BadRecipe("NothingToFactorize", field, ", ".join(parameters.include), problem, "change the patterns")
    found = ", ".join(sorted({f"{target.kind}s" for target in targets})) or "no weights in floating-point numbers"
    raise not_its_kind(field, parameters.method, " and ".join(f"{kind}s" for kind in kinds), found)


def decompose(target: Target, parameters: Factorize, inputs: Inputs | None) -> Decomposition:
    """The decomposition of one target."""
    weight: Floats = target.load()
    if target.kind == "convolution":
        if weight[0, 0].size == 1:
            return Pointwise(weight)
        kind = Tucker if parameters.method == "tucker" else Canonical
        return kind(weight, parameters.rank)
    return (SemiNonnegative if parameters.method == "nmf" else LowRank)(weight, inputs)


def choose(layers: Sequence[Layer], parameters: Factorize, size_bytes: int, field: str) -> None:
    """Sets each layer's choice.

    Raises BadRecipe where a budget cannot be met, or where no layer would become smaller.
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
        raise nothing_smaller(field, value, len(layers))


def _by_budget(layers: Sequence[Layer], budget: float, size_bytes: int, field: str) -> None:
    demands = [_demand(layer) for layer in layers]
    save = int((1.0 - budget) * size_bytes) + OVERHEAD * len(layers) + 1
    choices = by_budget(demands, save)
    if choices is None:
        least = 1.0 - (most_saved(demands) - OVERHEAD * len(layers)) / size_bytes
        problem = f"with all layers at their lowest rank the model would still have {least:.3f} of its size"
        raise BadRecipe("BudgetOutOfReach", field, budget, problem, "ask for a larger budget, or include more layers")
    for layer, choice in zip(layers, choices, strict=True):
        layer.choice = choice


def _demand(layer: Layer) -> Demand:
    candidates = layer.decomposition.candidates
    return Demand(candidates.sizes, candidates.losses, layer.target.size, layer.target.unit, layer.sensitivity)


def measure_sensitivities(
    layers: Sequence[Layer], model: Factorizable, product: Callable[[Target, tuple[Factor, ...]], Floats]
) -> None:
    """Sets each layer's sensitivity: relative change of the model's outputs for each share of its energy lost."""
    probes = [_probe(layer) for layer in layers]
    measured = [(layer, probe) for layer, probe in zip(layers, probes, strict=True) if probe is not None]
    substitutes = (
        (layer.target, product(layer.target, layer.decomposition.factors(ranks))) for layer, (ranks, _) in measured
    )
    for (layer, (_, loss)), change in zip(measured, model.changes(substitutes), strict=True):
        layer.sensitivity = change / loss


def _probe(layer: Layer) -> tuple[tuple[int, ...], float] | None:
    candidates = layer.decomposition.candidates.smaller_than(layer.decomposition.dense)
    if not len(candidates.losses) or candidates.losses.max() <= 0:
        return None
    enough = candidates.losses >= min(PROBED_LOSS, candidates.losses.max())
    place = int(candidates.losses[enough].argmin())
    ranks = tuple(int(rank) for rank in candidates.ranks[enough][place])
    return ranks, float(candidates.losses[enough][place])
