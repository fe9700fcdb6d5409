"""Cells of tables in Markdown."""

import re
from collections.abc import Mapping
from typing import Any, Final

from compressionjob.examples import flow_style

NUMBER: Final = re.compile(r"must be a (?P<kind>duration|decimal) (?:number )?(?:of )?(?P<bounds>(?:(?! such|,).)+)")
COMMAND: Final = re.compile(r"(\bkubectl (?:'[^']*'|[^\s;,()'`]|(?! --> )\s(?![(]|when\b|or\b))+)")
"""A command of kubectl in a sentence: up to a mark that ends it, but for those in quotation marks."""


def cell(text: str) -> str:
    """Return a text as it may stand in a cell of a table: placeholders are no HTML."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")


def type_words(field: Mapping[str, Any]) -> str:
    """Return the type of a schema's field, its values or its bounds."""
    if "items" in field:
        return f"list of {type_words(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map to {type_words(field['additionalProperties'])}"
    if "enum" in field:
        return ", ".join(f"`{flow_style(value)}`" for value in field["enum"])
    if "x-kubernetes-int-or-string" in field:
        return _amount(field)
    return str(field.get("type", "any")) + _bounds(field)


def _amount(field: Mapping[str, Any]) -> str:
    """Return the kind of an amount that may be written as a number or as text: the API server's own words for it."""
    if "pattern" in field:
        return "quantity"
    words = (NUMBER.match(rule["message"]) for rule in field.get("x-kubernetes-validations", ()))
    match = next(word for word in words if word is not None)
    return f"{match['kind']}, {match['bounds']}"


def _bounds(field: Mapping[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", at least {low}" if low is not None else f", at most {high}" if high is not None else ""


def text_cell(text: str) -> str:
    """Return a text of a program as it may stand in a cell: commands of kubectl as code, the rest as plain text."""
    parts = COMMAND.split(text)
    return "".join(code(part) if at % 2 else _plain(part) for at, part in enumerate(parts)).replace("\n", "<br>")


def code(text: str) -> str:
    """Return a text as code in a cell."""
    lines = (f"`{line}`" if line.strip() else line for line in text.replace("`", "'").split("\n"))
    return "<br>".join(lines).replace("|", r"\|")


def _plain(text: str) -> str:
    # A pattern such as [a-z](x) would be a link, and two stars in a line would be emphasis.
    return re.sub(r"([|\[\]*_`])", r"\\\1", text).replace("<", "&lt;")
