"""Every method of the registry, once with each algorithm and structure of the contract."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from compression_runner.methods.registry import METHODS as RUNNERS
from compressionjob.methods.registry import METHODS
from compressionjob.pipeline import Stage

CHOICES: Final = ("method", "structure")
"""Fields whose values select an algorithm of a method."""
NEEDED: Final[Mapping[str, Any]] = {
    "sparsity": "0.5",
    "rank": 4,
    "student": {"layers": 1},
    "training": {"maxSteps": 2, "batchSize": 8},
}
"""Required parameters of methods, and parameters whose defaults would take long."""


@dataclass(frozen=True)
class Variant:
    """A stage with its parameters, as in a manifest. `group` is the method of the registry."""

    group: str
    name: str
    parameters: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The group and the name."""
        return f"{self.group} {self.name}".strip()

    @property
    def slug(self) -> str:
        """The title as part of a file's name."""
        return self.title.replace(" ", "-")

    @property
    def version(self) -> int:
        """The method's current version."""
        return RUNNERS[Stage.model_validate(self.stage).key].version

    @property
    def stage(self) -> dict[str, Any]:
        """The stage in spec.pipeline."""
        return {self.group: dict(self.parameters)}


def variants() -> list[Variant]:
    """Return every variant in the order of the registry.

    Raises ValueError for a method without a valid variant: its required parameters belong in NEEDED.
    """
    every_variant = []
    for group, parameters in METHODS.items():
        valid = list(_of(group, parameters))
        if not valid:
            raise ValueError(f"no parameters of {group} are valid: add its required parameters to NEEDED")
        every_variant += valid
    return every_variant


def _of(group: str, parameters: type[BaseModel]) -> Iterator[Variant]:
    """Yield one variant for each valid combination of choices: the first type and the first needs that are valid."""
    fields = parameters.model_fields
    options = [[(name, value) for value in _literals(fields[name].annotation)] for name in CHOICES if name in fields]
    needed = {name: value for name, value in NEEDED.items() if name in fields}
    needs = (needed, {name: value for name, value in needed.items() if name != "training"})
    types = [{}, *({"dtype": value} for value in _literals(fields["dtype"].annotation))] if "dtype" in fields else [{}]
    for chosen in _combinations(options):
        for given in ({**chosen, **some, **dtype} for dtype in types for some in needs):
            written = {to_camel(name): value for name, value in given.items()}
            if _is_valid(parameters, written):
                yield Variant(group, chosen.get("structure") or chosen.get("method") or "", written)
                break


def _combinations(options: Sequence[Sequence[tuple[str, str]]]) -> list[dict[str, str]]:
    """Return each choice of the first field, alone and with each of the others'."""
    others = [[None, *choices] for choices in options[1:]]
    chosen = product(*options[:1], *others)
    return [dict(choice for choice in choices if choice is not None) for choices in chosen]


def _literals(annotation: Any) -> list[str]:
    """Return the strings of a Literal, optional or not."""
    nested = [_literals(part) for part in get_args(annotation) if not isinstance(part, str)]
    return [part for part in get_args(annotation) if isinstance(part, str)] + [text for part in nested for text in part]


def _is_valid(parameters: type[BaseModel], written: Mapping[str, Any]) -> bool:
    try:
        parameters.model_validate(written)
    except ValidationError:
        return False
    return True
