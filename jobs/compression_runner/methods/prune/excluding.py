"""Exclusion of layers by name."""

from collections.abc import Callable, Iterable

from compression_runner.errors import BadRecipe
from compressionjob.methods.names import matches
from compressionjob.methods.prune import Prune

MAX_EXAMPLES = 5
"""Maximum number of example names in an error."""
Excluded = Callable[[str], bool]
"""Returns whether the weight of a name is excluded."""


def exclusion(parameters: Prune, names: Iterable[str], field: str) -> Excluded:
    """Return a predicate of excluded weights, by `exclude` of the stage at `field`.

    Raises BadRecipe for a pattern that matches none of the names: the intended weight would be pruned.
    """
    known = list(names)
    for pattern in parameters.exclude:
        if not any(matches(name, [pattern]) for name in known):
            examples = ", ".join(known[:MAX_EXAMPLES]) + (", ..." if len(known) > MAX_EXAMPLES else "")
            problem = f"it matches no weight to prune; the names are {examples or 'none'}"
            raise BadRecipe("NothingExcluded", f"{field}.exclude", pattern, problem, "change the pattern, or remove it")
    return lambda name: matches(name, parameters.exclude)
