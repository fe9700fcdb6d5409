"""Values that the contract accepts but the API server refuses for their type: 0.01 without quotes, "3" with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from compressionjob.errors import FieldProblem, format_value, kind_of


def quoting_problems(value: object, schema: Mapping[str, Any], path: str) -> Iterator[FieldProblem]:
    """Yield a problem for each value below ``path`` with wrong or missing quotes."""
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for name, item in value.items():
            yield from quoting_problems(item, properties.get(name, others), f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from quoting_problems(item, schema.get("items", {}), f"{path}[{index}]")
    else:
        remedy = _remedy(value, schema)
        if remedy:
            yield FieldProblem(path, "", remedy)


def _remedy(value: object, schema: Mapping[str, Any]) -> str:
    text, kind = format_value(value), schema.get("type")
    if isinstance(value, float) and "x-kubernetes-int-or-string" in schema:
        return f'write {text} in quotes, "{text}": the API server accepts no number with a decimal point here'
    if isinstance(value, str) and kind in ("integer", "boolean"):
        return f'write {text} without quotes: "{text}" is text'
    if kind == "boolean" and not isinstance(value, bool) and value is not None:
        return f"must be true or false, and it is {kind_of(value)}"
    return ""
