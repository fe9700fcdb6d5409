"""Conditions on the fields of an object, each defined once for CEL (the API server) and for Python."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _joined(operator: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else operator.join(f"({part})" for part in parts)


class Predicate(ABC):
    """A condition on an object. Fields have their names in a manifest; absent fields are absent or None."""

    @abstractmethod
    def cel(self, of: str = "self") -> str:
        """Return the condition in CEL, for the object that ``of`` names."""

    @abstractmethod
    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for an object."""


@dataclass(frozen=True)
class IsSet(Predicate):
    """The field is set."""

    field: str

    def cel(self, of: str = "self") -> str:
        """Return has() of the field."""
        return f"has({of}.{self.field})"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether there is a value."""
        return values.get(self.field) is not None


@dataclass(frozen=True)
class OneOf(Predicate):
    """The field has one of these values."""

    field: str
    values: tuple[Any, ...]

    def cel(self, of: str = "self") -> str:
        """Return the comparison after has(), since an absent field is an error in CEL."""
        listed = ", ".join(map(_literal, self.values))
        return f"has({of}.{self.field}) && {of}.{self.field} in [{listed}]"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the value is among them."""
        return values.get(self.field) in self.values


@dataclass(frozen=True)
class Within(Predicate):
    """The condition holds for the object in a field, which must be set."""

    field: str
    condition: Predicate

    def cel(self, of: str = "self") -> str:
        """Return the condition on the field."""
        return self.condition.cel(f"{of}.{self.field}")

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for the field's value."""
        return self.condition.holds(values[self.field])


@dataclass(frozen=True)
class Some(Predicate):
    """The condition holds for some item of a list, which must be set."""

    field: str
    condition: Predicate

    def cel(self, of: str = "self") -> str:
        """Return exists() over the list."""
        return f"{of}.{self.field}.exists(item, {self.condition.cel('item')})"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for any of the items."""
        return any(self.condition.holds(item) for item in values[self.field])


@dataclass(frozen=True)
class Not(Predicate):
    """The condition does not hold."""

    condition: Predicate

    def cel(self, of: str = "self") -> str:
        """Return the negation."""
        return f"!({self.condition.cel(of)})"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return the opposite."""
        return not self.condition.holds(values)


class AllOf(Predicate):
    """Every condition holds; true without conditions."""

    def __init__(self, *conditions: Predicate) -> None:
        self.conditions = conditions

    def cel(self, of: str = "self") -> str:
        """Return the conjunction."""
        parts = [part for part in (one.cel(of) for one in self.conditions) if part != "true"]
        return "false" if "false" in parts else _joined(" && ", parts) or "true"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether all hold."""
        return all(one.holds(values) for one in self.conditions)


class AnyOf(Predicate):
    """At least one condition holds; false without conditions."""

    def __init__(self, *conditions: Predicate) -> None:
        self.conditions = conditions

    def cel(self, of: str = "self") -> str:
        """Return the disjunction."""
        parts = [part for part in (one.cel(of) for one in self.conditions) if part != "false"]
        return "true" if "true" in parts else _joined(" || ", parts) or "false"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether any holds."""
        return any(one.holds(values) for one in self.conditions)


def implies(condition: Predicate, consequence: Predicate) -> Predicate:
    """Return the predicate that the consequence holds wherever the condition does."""
    return AnyOf(Not(condition), consequence)


@dataclass(frozen=True)
class Rule:
    """A condition that must hold, with the message where it does not."""

    condition: Predicate
    text: str
