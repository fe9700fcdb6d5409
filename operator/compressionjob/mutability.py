"""Rules of the API server for changes of an existing CompressionJob's spec."""

from typing import Any, Final

from compressionjob.field_types import cel, parse_duration

_FIXED: Final = "{} cannot change once the job exists; delete the job and create another"
_RAISED: Final = "{} can only be raised or removed once the job exists; raise it, or delete the job and create another"
_UNCHANGED: Final = "has(self.{0}) == has(oldSelf.{0})"

MUTABLE_FIELDS: Final = frozenset({"suspend", "ttl", "notifications"})
"""Fields that may change at any time."""

_NOT_LOWER: Final = {
    "deadline": "duration(string(self)) >= duration(string(oldSelf))",
    "budget": "double(self) >= double(oldSelf)",
}
"""Fields that may be raised or removed but not lowered, each with its rule."""

RAISABLE_FIELDS: Final = frozenset(_NOT_LOWER)
CHANGING_FIELDS: Final = MUTABLE_FIELDS | RAISABLE_FIELDS
"""Fields that a pod does not get: only the operator uses them, and they may change while the pod runs."""


def may_change(name: str, before: str, after: str) -> bool:
    """Return whether a field of an existing job may change from ``before`` to ``after``; "" stands for not set."""
    if name not in RAISABLE_FIELDS:
        return name in MUTABLE_FIELDS
    if not before or not after:
        return not after
    amount = parse_duration if name == "deadline" else float
    return amount(after) >= amount(before)


def restrict_changes(spec: dict[str, Any]) -> dict[str, Any]:
    """Add rules to a spec's schema that allow changes to these fields only.

    There is a rule for each field, since CEL's cost estimate for the whole object is too high.
    """
    required = spec.get("required", [])
    presence = []
    for name, field in spec["properties"].items():
        if name in MUTABLE_FIELDS:
            continue
        raisable = name in RAISABLE_FIELDS
        message = (_RAISED if raisable else _FIXED).format(name)
        rule = cel(_NOT_LOWER.get(name, "self == oldSelf"), message)
        field["x-kubernetes-validations"] = [*field.get("x-kubernetes-validations", []), rule]
        if name not in required and "default" not in field:
            appears = f"!has(self.{name}) || has(oldSelf.{name})" if raisable else _UNCHANGED.format(name)
            presence.append(cel(appears, message, fieldPath=f".{name}"))
    spec["x-kubernetes-validations"] = [*spec.get("x-kubernetes-validations", []), *presence]
    return spec
