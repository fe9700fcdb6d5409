"""Suggestions for the author of a manifest: the nearest field or value, the parent of a field, the unit of a value."""

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_CLOSE: Final = 0.6
_MAX_PLACES: Final = 2
_MAX_DEPTH: Final = 8

Location = Sequence[int | str]


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the word that ``word`` is probably a misspelling of, "" when none is close."""
    by_lower_case = {item.lower().replace("_", "-"): item for item in words}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), by_lower_case, n=1, cutoff=_CLOSE)
    return by_lower_case[close[0]] if close else ""


def field_at(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """Return the field at a location such as ``("spec", "pipeline", 0, "prune")``, None where there is none."""
    part: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for name in location:
        if isinstance(name, int):
            continue
        field = fields_of(part).get(name) if part is not None else None
        if field is None:
            return None
        part = _model_in(field.annotation)
    return field


def model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model at a location, None where there is none."""
    field = field_at(model, location)
    if field is None:
        return model if not any(isinstance(name, str) for name in location) else None
    return _model_in(field.annotation)


def fields_of(model: type[BaseModel] | None) -> Mapping[str, FieldInfo]:
    """Return the fields of a model by their name in a manifest."""
    fields = {} if model is None else model.model_fields
    return {field.alias or name: field for name, field in fields.items()}


def removed_field(model: type[BaseModel] | None, location: Location) -> str:
    """Return the remedy for a field that an earlier version had, "" for any other name."""
    parent = None if model is None else model_at(model, location[:-1])
    removed: Mapping[Any, str] = getattr(parent, "removed", {})
    return removed.get(location[-1], "")


def paths_to_field(model: type[BaseModel], name: str) -> list[str]:
    """Return the parents that have a field of this name, such as ``spec.sla.quality``, shortest path first."""
    return sorted(_paths_to_field(model, name, "", _MAX_DEPTH), key=lambda path: (path.count("."), path))[:_MAX_PLACES]


def _paths_to_field(model: type[BaseModel], name: str, path: str, depth: int) -> Iterator[str]:
    for alias, field in fields_of(model).items():
        inner = _model_in(field.annotation)
        if alias == name and path:
            yield path
        if inner is not None and depth:
            mark = "[]" if "list" in str(field.annotation).split("[")[0].lower() else ""
            yield from _paths_to_field(inner, name, f"{path}.{alias}{mark}" if path else f"{alias}{mark}", depth - 1)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``list[Stage] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (typing.Union, UnionType, list, typing.Annotated):
        return next((model for model in map(_model_in, get_args(annotation)) if model is not None), None)
    return None


def duration_hint(text: str) -> str:
    """Return a suggestion for a duration without a unit or in days, "" for any other text."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return f': add a unit, such as "{text}s" or "{text}m"'
    days = re.fullmatch(r"([0-9]{1,5}) ?(?:d|days?)", text)
    return f': write days in hours, "{24 * int(days[1])}h"' if days else ""


def quantity_hint(text: str) -> str:
    """Return how Kubernetes writes an amount such as ``400 MB``, "" where it is no such amount."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt])(i?)b?", text.lower())
    if match is None:
        return ""
    unit = match[2] if (match[2], match[3]) == ("k", "") else match[2].upper()
    return f': write {text} as "{match[1]}{unit}{match[3]}"'
