"""Errors in a spec, each with its field, value and remedy.

InvalidSpec
`-- carries one or more FieldProblem
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from compressionjob.examples import example_of, flow_style
from compressionjob.field_types import DNS_LABEL_PATTERN, DNS_SUBDOMAIN_PATTERN
from compressionjob.hints import field_at, fields_of, model_at, nearest, paths_to_field, removed_field

MAX_VALUE_CHARACTERS = 120

_Context = Mapping[str, Any]
_SHAPES: Final = ("too_short", "list_type", "dict_type", "model_type", "model_attributes_type")
"""pydantic's error types for a value of another shape than its field."""
_KINDS: Final = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "empty"}


@dataclass(frozen=True)
class FieldProblem:
    """An error in a manifest: the path of the field, its value, and the remedy.

    ``value`` is "" where it would not help, as for a whole mapping. ``missing`` is set when the field is absent.
    """

    field: str
    value: str
    remedy: str
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.field}{self.sentence}"

    @property
    def sentence(self) -> str:
        """The message without the path of the field."""
        if self.missing:
            return f" is missing: {self.remedy}"
        if not self.value or self.field.endswith(f".{self.value}"):
            return f": {self.remedy}"
        return f": {self.value!r} is not valid: {self.remedy}"


class InvalidSpec(ValueError):
    """A manifest is not valid. Retrying does not help."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


def field_path(location: Sequence[int | str], prefix: str = "") -> str:
    """Write a pydantic error location the way Kubernetes writes field paths: ``spec.pipeline[0].prune``."""
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def problems_of(error: ValidationError, prefix: str = "", model: type[BaseModel] | None = None) -> list[FieldProblem]:
    """Translate pydantic's errors into problems with field, value and remedy.

    With ``model``, the type that was read, the remedies suggest misspelt names and describe missing fields.
    """
    problems: list[FieldProblem] = []
    for item in error.errors():
        inner = item.get("ctx", {}).get("error")
        problems.extend(inner.problems if isinstance(inner, InvalidSpec) else [_problem(item, prefix, model)])
    misspelt = {f"{field_path(item['loc'][:-1], prefix)}.{_intended_name(item, model)}" for item in error.errors()}
    # A field that is there under a misspelt name is not missing.
    return [problem for problem in problems if not (problem.missing and problem.field in misspelt)]


def _intended_name(item: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    """Return the field that an unknown name is probably a misspelling of, "" where there is none."""
    if item["type"] != "extra_forbidden" or model is None or removed_field(model, item["loc"]):
        return ""
    return nearest(str(item["loc"][-1]), fields_of(model_at(model, item["loc"][:-1])))


def _problem(item: Mapping[str, Any], prefix: str, model: type[BaseModel] | None) -> FieldProblem:
    location, kind = item["loc"], str(item["type"])
    field = field_path(location, prefix) or "manifest"
    if kind == "missing":
        return FieldProblem(field, "", _remedy_for_missing(model, location), missing=True)
    if kind == "extra_forbidden":
        return FieldProblem(field, "", _no_such_field(model, location, prefix))
    given = item.get("input")
    if given is None:
        return FieldProblem(field, "", f"it is empty: {_remedy_for_missing(model, location).removeprefix('add it: ')}")
    sentence = _SENTENCES.get(kind)
    if kind == "string_pattern_mismatch":
        remedy = _pattern(item.get("ctx", {}), example_of(location))
    elif sentence is not None:
        remedy = sentence(item.get("ctx", {}), given) + (_example_phrase(location) if kind in _SHAPES else "")
    elif kind == "value_error":
        remedy = str(item["msg"]).removeprefix("Value error, ")
    else:
        remedy = f"`kubectl explain` says what it takes: {kind.replace('_', ' ')}"
    return FieldProblem(field, format_value(given), remedy)


def _example_phrase(location: Sequence[int | str]) -> str:
    """Return a phrase with an example for a location, to append to a sentence."""
    example = example_of(location)
    if isinstance(example, list) and location and isinstance(location[-1], int):
        example = example[0]
    return "" if example is None else f", such as {flow_style(example)}"


def format_value(value: object) -> str:
    """Return a value as a manifest writes it; "" for a mapping or a list."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    text = json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 3] + "..."


def kind_of(value: object) -> str:
    """Return the type of a value in words: a mapping, a list, a text, a number."""
    return next((words for kind, words in _KINDS.items() if isinstance(value, kind)), "a number")


def _remedy_for_missing(model: type[BaseModel] | None, location: Sequence[int | str]) -> str:
    """Return the remedy for a missing field: its description and an example."""
    field = None if model is None else field_at(model, location)
    if field is None or not field.description:
        return "add it"
    example = example_of(location)
    such_as = "" if example is None else f", such as {location[-1]}: {flow_style(example)}"
    return f"add it: {_first_clause(field.description)}{such_as}"


def _first_clause(description: str) -> str:
    """Return a description up to its first colon, semicolon or full stop."""
    words = re.split(r"[:;](?=\s)|\.(?=\s|$)", description, maxsplit=1)[0]
    return words if words[:2].isupper() else f"{words[0].lower()}{words[1:]}"


def _no_such_field(model: type[BaseModel] | None, location: Sequence[int | str], prefix: str) -> str:
    name, parent = str(location[-1]), field_path(location[:-1], prefix)
    remedy = removed_field(model, location)
    if remedy:
        return f"this version has no such field: {remedy}"
    known = [] if model is None else list(fields_of(model_at(model, location[:-1])))
    meant = nearest(name, known)
    if meant:
        return f"there is no such field; did you mean {meant!r}?"
    places = [] if model is None else paths_to_field(model, name)
    if places:
        return f"there is no such field here; {name!r} belongs to {' or '.join(places)}"
    fields = f"; {parent or 'a manifest'} has {', '.join(sorted(known))}" if known else ""
    return f"there is no such field; remove it or correct its name{fields}"


def name_problem(field: str, name: object) -> FieldProblem | None:
    """Return the problem of an object's name that Kubernetes does not allow; None for a valid name."""
    if not isinstance(name, str) or re.fullmatch(DNS_SUBDOMAIN_PATTERN, name):
        return None
    return FieldProblem(field, name, _pattern({"pattern": DNS_SUBDOMAIN_PATTERN}, None))


def _pattern(context: _Context, example: object) -> str:
    """Return the remedy for a text that does not match its pattern."""
    pattern = str(context.get("pattern"))
    if pattern in (DNS_LABEL_PATTERN, DNS_SUBDOMAIN_PATTERN):
        dot = " and '.'" if pattern == DNS_SUBDOMAIN_PATTERN else ""
        return f"must be lower-case letters, digits, '-'{dot}, with a letter or digit first and last, such as my-name"
    if example is not None:
        return f"write it as in {flow_style(example)}"
    return f"must match {pattern}"


def _one_of(context: _Context, given: object) -> str:
    words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    meant = nearest(str(given), words)
    listed = words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    return f"must be {listed}" + (f"; did you mean {meant!r}?" if meant and len(words) > 1 else "")


def _whole_number(_context: _Context, given: object) -> str:
    quoted = isinstance(given, str) and re.fullmatch(r"\d+", given)
    return f"must be a whole number without quotes, such as {given if quoted else 8}"


def _must_be(kind: str) -> Callable[[_Context, object], str]:
    return lambda _context, given: f"it is {kind_of(given)}, and must be {kind}"


def _bound(words: str, name: str) -> Callable[[_Context, object], str]:
    return lambda context, _given: f"must be {words} {context.get(name)}"


def _length(words: str, name: str, unit: str) -> Callable[[_Context, object], str]:
    def sentence(context: _Context, _given: object) -> str:
        count = context.get(name)
        return f"must have {words} {count} {unit if count == 1 else f'{unit}s'}".replace("entrys", "entries")

    return sentence


def _text(_context: _Context, given: object) -> str:
    if isinstance(given, (dict, list)):
        return f"must be a text, and it is {kind_of(given)}"
    return f'must be a text: write it in quotes, "{format_value(given)}"'


_SENTENCES: Final[Mapping[str, Callable[[_Context, object], str]]] = {
    "literal_error": _one_of,
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _whole_number),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _context, _given: "must be true or false, without quotes"),
    "string_type": _text,
    "list_type": _must_be("a list, whose entries begin with '- '"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _must_be("a mapping of fields")),
    "string_too_short": _length("at least", "min_length", "character"),
    "string_too_long": _length("at most", "max_length", "character"),
    "too_short": _length("at least", "min_length", "entry"),
    "too_long": _length("at most", "max_length", "entry"),
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("more than", "gt"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("less than", "lt"),
}
