"""All methods of the runner, by (family, method); the method is empty in a family of one."""

from typing import Final

from compression_runner.methods import converting, distill, export, factorize, importing, pack, prune, quantize, recover
from compression_runner.stages.method import Method

Key = tuple[str, str]

STEPS: Final[dict[Key, Method]] = {
    ("import", ""): importing.METHOD,
    ("export", ""): export.METHOD,
    ("export-program", ""): export.PROGRAM,
    ("convert", ""): converting.METHOD,
}
"""Steps that the planner inserts between stages."""
METHODS: Final[dict[Key, Method]] = {
    **STEPS,
    ("prune", ""): prune.METHOD,
    ("factorize", ""): factorize.METHOD,
    ("distill", ""): distill.METHOD,
    ("recover", ""): recover.METHOD,
    **{("quantize", name): method for name, method in quantize.METHODS.items()},
    ("pack", ""): pack.METHOD,
}


def title_of(key: Key) -> str:
    """Return the name of a method in words: ``quantize dynamic``."""
    return " ".join(part for part in key if part)
