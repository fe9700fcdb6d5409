"""Parts of a job that an engine cannot measure, each defined once for CEL and for Python."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from compressionjob.errors import FieldProblem
from compressionjob.field_types import cel
from compressionjob.methods.predicate import AllOf, IsSet, Not, OneOf, Predicate, Some, Within


@dataclass(frozen=True)
class Misfit:
    """A part of a spec that some engines cannot measure: its condition, its field below spec, and the remedy."""

    condition: Predicate
    field: str
    remedy: str


def measured_in(engines: Sequence[str]) -> Predicate:
    """Return the condition that a spec is measured in one of these engines."""
    return AllOf(IsSet("benchmark"), Within("benchmark", OneOf("engine", tuple(engines))))


def some_stage(family: str, *conditions: Predicate) -> Predicate:
    """Return the condition that a stage of this family meets all conditions."""
    return Some("pipeline", AllOf(IsSet(family), Within(family, AllOf(*conditions))))


def misfit_rules(misfits: Sequence[Misfit]) -> list[JsonValue]:
    """Return the rules for a spec as a whole."""
    return [cel(Not(misfit.condition).cel(), misfit.remedy, fieldPath=f".{misfit.field}") for misfit in misfits]


def misfit_problems(spec: Mapping[str, Any], misfits: Sequence[Misfit]) -> Iterator[FieldProblem]:
    """Yield the parts of a spec, as in a manifest, that its engine cannot measure."""
    for misfit in misfits:
        if misfit.condition.holds(spec):
            yield FieldProblem(f"spec.{misfit.field}", spec["benchmark"]["engine"], misfit.remedy)
