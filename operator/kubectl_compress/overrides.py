"""``--set spec.deadline=2h``: changed fields of a job that is retried, typed by the CRD's schema."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compressionjob.crd_schema import structural
from compressionjob.hints import nearest
from compressionjob.spec import CompressionJobSpec
from kubectl_compress.errors import Invalid

REFUSED: Final = frozenset({"model", "data", "pipeline", "search"})
"""Fields that define the compression: with another value, the new job would not be a retry."""


def changed(spec: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return the spec with all ``FIELD=VALUE`` settings; the value null removes a field.

    Raises Invalid for a field that does not exist, that a retry cannot change, or whose value has another type.
    """
    result = copy.deepcopy(dict(spec))
    schema = structural(CompressionJobSpec)
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not path:
            raise Invalid(f"--set {setting}: there is no '='", "write FIELD=VALUE, such as spec.deadline=2h")
        _set(result, schema, path, value)
    return result


def fields() -> list[str]:
    """Return every field that ``--set`` takes, such as spec.sla.latency.max."""
    return _leaves(structural(CompressionJobSpec), "spec", REFUSED)


def _leaves(schema: Mapping[str, Any], path: str, left_out: frozenset[str] = frozenset()) -> list[str]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    leaves: list[str] = []
    for name, inner in properties.items():
        if name in left_out or inner.get("type") == "array":
            continue
        leaves += _leaves(inner, f"{path}.{name}") if "properties" in inner else [f"{path}.{name}"]
    return leaves


def _set(spec: dict[str, Any], schema: Mapping[str, Any], path: str, value: str) -> None:
    names = path.removeprefix("spec.").split(".")
    if names[0] in REFUSED:
        remedy = "for another compression, write a new manifest: `kubectl get cpj NAME --output=yaml`, then submit"
        raise Invalid(f"--set {path}: a retry is the same compression again", remedy)
    target = spec
    for index, name in enumerate(names):
        properties = schema.get("properties", {})
        if name not in properties:
            where = ".".join(["spec", *names[:index]])
            known = sorted(set(properties) - (REFUSED if index == 0 else set()))
            meant = nearest(name, known)
            remedy = f"{where} has {', '.join(known)}" if known else f"{where} has no fields"
            remedy += f"; did you mean {meant!r}?" if meant else ""
            raise Invalid(f"--set {path}: there is no field {name!r}", remedy)
        schema = properties[name]
        if index < len(names) - 1:
            if not isinstance(target.get(name), dict):
                target[name] = {}
            target = target[name]
    if value == "null":
        target.pop(names[-1], None)
    else:
        target[names[-1]] = _typed(schema, path, value)


def _typed(schema: Mapping[str, Any], path: str, value: str) -> Any:
    kind = schema.get("type", "string")
    if kind == "string":
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    kinds: dict[str, type] = {"integer": int, "boolean": bool, "object": dict, "array": list}
    if type(parsed) is not kinds.get(kind, type(parsed)):
        example = {"integer": "3", "boolean": "true", "object": '{"max": "20ms"}', "array": '["a"]'}.get(kind, "")
        raise Invalid(f"--set {path}={value}: the value must be of type {kind}", f"write one such as {example}")
    return parsed
