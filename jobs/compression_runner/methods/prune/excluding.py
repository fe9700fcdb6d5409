"""Layers that the recipe leaves as they are."""

from collections.abc import Callable, Iterable

from compression_runner.errors import BadRecipe
from compressionjob.methods.names import matches
from compressionjob.methods.prune import Prune

TOLD = 5
"""Names that an error gives as examples."""
Excluded = Callable[[str], bool]
"""Whether a weight of that name stays as it is."""


def exclusion(parameters: Prune, names: Iterable[str], field: str) -> Excluded:
    """Whether a weight stays, by `exclude` of the stage at `field`.

    Raises BadRecipe for a pattern that fits none of the names: what was to be spared would be pruned.
    """
    known = list(names)
    for pattern in parameters.exclude:
        if not any(matches(name, [pattern]) for name in known):
            examples = ", ".join(known[:TOLD]) + (", ..." if len(known) > TOLD else "")
            problem = f"no weight that would be pruned has such a name; there are {examples or 'none'}"
            raise BadRecipe("NothingExcluded", f"{field}.exclude", pattern, problem, "change the pattern, or remove it")
    return lambda name: matches(name, parameters.exclude)
