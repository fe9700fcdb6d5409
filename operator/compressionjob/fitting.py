"""Fitting of a value that another version wrote into a structural schema."""

import math
from typing import Any, Final

JsonSchema = dict[str, Any]

MISFIT: Final = object()
"""Stands for a value that does not fit its schema."""

_LARGEST: Final = 2**63 - 1  # the API server reads integers into 64 bits


def fit(value: Any, schema: JsonSchema) -> Any:
    """Return the part of a JSON value that ``schema`` allows, or MISFIT.

    Strings are cut to maxLength, lists to maxItems, maps to maxProperties. Other misfits are left out: a number that
    is not finite or out of range, a value of another type, an object that lacks a required field. An unknown word of
    an enum changes the meaning of its object, so the whole object is left out, unless it is ``value`` itself.
    """
    if isinstance(value, dict) and "properties" in schema:
        return _with_required(_fields(value, schema), schema)
    return _fit(value, schema)


def _fit(value: Any, schema: JsonSchema) -> Any:
    fitter = _FITTERS.get(schema.get("type", ""))
    fitted = value if fitter is None else fitter(value, schema)
    return MISFIT if "enum" in schema and fitted not in schema["enum"] else fitted


def _object(value: Any, schema: JsonSchema) -> Any:
    if not isinstance(value, dict):
        return MISFIT
    if "properties" not in schema:
        return _map(value, schema)
    kept = _fields(value, schema)
    words = {name for name, part in schema["properties"].items() if "enum" in part and value.get(name) is not None}
    return _with_required(kept, schema) if words <= kept.keys() else MISFIT


def _fields(value: dict[str, Any], schema: JsonSchema) -> dict[str, Any]:
    fitted = {name: _fit(value[name], part) for name, part in schema["properties"].items() if name in value}
    return {name: item for name, item in fitted.items() if item is not MISFIT}


def _with_required(kept: dict[str, Any], schema: JsonSchema) -> Any:
    return kept if kept.keys() >= set(schema.get("required", ())) else MISFIT


def _map(value: dict[str, Any], schema: JsonSchema) -> dict[str, Any]:
    fitted = {name: _fit(item, schema.get("additionalProperties", {})) for name, item in value.items()}
    kept = [(name, item) for name, item in fitted.items() if item is not MISFIT]
    return dict(kept[: schema.get("maxProperties")])


def _array(value: Any, schema: JsonSchema) -> Any:
    if not isinstance(value, list):
        return MISFIT
    fitted = [_fit(item, schema.get("items", {})) for item in value]
    return [item for item in fitted if item is not MISFIT][: schema.get("maxItems")]


def _string(value: Any, schema: JsonSchema) -> Any:
    if not isinstance(value, str) or len(value) < schema.get("minLength", 0):
        return MISFIT
    return value[: schema.get("maxLength")]


def _boolean(value: Any, schema: JsonSchema) -> Any:
    return value if isinstance(value, bool) else MISFIT


def _integer(value: Any, schema: JsonSchema) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _in_range(value, schema) if isinstance(value, int) and abs(value) <= _LARGEST else MISFIT


def _number(value: Any, schema: JsonSchema) -> Any:
    if not isinstance(value, (int, float)) or (abs(value) > _LARGEST and isinstance(value, int)):
        return MISFIT
    return _in_range(value, schema) if math.isfinite(value) else MISFIT


def _in_range(value: float, schema: JsonSchema) -> Any:
    if isinstance(value, bool) or not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return MISFIT
    return value


_FITTERS: Final = {
    "object": _object,
    "array": _array,
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
}
