"""Structural schemas of pydantic models, for CustomResourceDefinitions.

A structural schema (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions)
has no references, no titles, no ``anyOf`` with null, and no ``additionalProperties: false``.
"""

from typing import Any, Final

from pydantic import BaseModel

MAX_STRING: Final = 1024
MAX_ITEMS: Final = 64
MAX_PROPERTIES: Final = 64

_DROPPED: Final = {"title", "$defs", "const", "exclusiveMinimum", "exclusiveMaximum"}


def structural(model: type[BaseModel], *, defaults: bool = True) -> dict[str, Any]:
    """Return a model's schema as an API server accepts it. ``defaults`` is False for a status, which has none."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    result = _translate(schema, schema.get("$defs", {}), defaults=defaults)
    assert isinstance(result, dict)
    return result


def _translate(node: Any, definitions: dict[str, Any], *, defaults: bool) -> Any:
    if isinstance(node, list):
        return [_translate(item, definitions, defaults=defaults) for item in node]
    if not isinstance(node, dict):
        return node
    node = _without_null(_resolve(node, definitions), definitions)
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    if "patternProperties" in result:  # a structural schema cannot constrain the keys of a map
        (result["additionalProperties"],) = result.pop("patternProperties").values()
    result.pop("propertyNames", None)
    if "const" in node:
        result |= {"type": "string", "enum": [node["const"]]}
    if not defaults or result.get("default") in (None, ""):
        result.pop("default", None)
    if "properties" in result and "default" in result:
        result["default"] = {}  # the server fills in the defaults of the properties
    if (result.get("type") == "string" or "x-kubernetes-int-or-string" in result) and "default" in result:
        result["default"] = str(result["default"])  # decimals are strings
    _translate_children(result, definitions, defaults=defaults)
    return _bounded_string(result)


def _translate_children(result: dict[str, Any], definitions: dict[str, Any], *, defaults: bool) -> None:
    if "properties" in result:
        result["properties"] = {
            name: _translate(value, definitions, defaults=defaults) for name, value in result["properties"].items()
        }
        result.pop("additionalProperties", None)
    elif "additionalProperties" in result:
        result["additionalProperties"] = _translate(result["additionalProperties"], definitions, defaults=defaults)
        result.setdefault("maxProperties", MAX_PROPERTIES)
    if "items" in result:
        result["items"] = _translate(result["items"], definitions, defaults=defaults)
        result.setdefault("maxItems", MAX_ITEMS)


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _without_null(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    choices = node.get("anyOf", [])
    if {"type": "null"} not in choices:
        return node
    (choice,) = [item for item in choices if item != {"type": "null"}]
    outer = {key: value for key, value in node.items() if key != "anyOf"}
    return _resolve(choice, definitions) | outer


def _bounded_string(node: dict[str, Any]) -> dict[str, Any]:
    if node.get("type") == "string" and "enum" not in node:
        node.setdefault("maxLength", MAX_STRING)
    return node
