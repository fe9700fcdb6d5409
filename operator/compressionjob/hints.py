"""What a manifest's author may have meant: the nearest field or value, and the place where a field belongs."""

import difflib
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
    """Return the word that ``word`` is most likely a misspelling of, "" when none is close."""
    by_lower_case = {item.lower().replace("_", "-"): item for item in words}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), by_lower_case, n=1, cutoff=_CLOSE)
    return by_lower_case[close[0]] if close else ""


def field_at(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """Return the field at a location such as ``("spec", "pipeline", 0, "prune")``, None where there is none."""
    part: type[BaseModel] | None = model
    found: FieldInfo | None = None
    for name in location:
        if isinstance(name, int):
            continue
        found = fields_of(part).get(name) if part is not None else None
        if found is None:
            return None
        part = _model_in(found.annotation)
    return found


def model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model whose fields stand at a location."""
    field = field_at(model, location)
    if field is None:
        return model if not any(isinstance(name, str) for name in location) else None
    return _model_in(field.annotation)


def fields_of(model: type[BaseModel] | None) -> Mapping[str, FieldInfo]:
    """Return the fields of a model by their names in a manifest."""
    fields = {} if model is None else model.model_fields
    return {field.alias or name: field for name, field in fields.items()}


def places_of(model: type[BaseModel], name: str) -> list[str]:
    """Return where a field of this name belongs, such as ``spec.sla.quality``: the shortest paths first."""
    return sorted(_places(model, name, "", _MAX_DEPTH), key=lambda path: (path.count("."), path))[:_MAX_PLACES]


def _places(model: type[BaseModel], name: str, path: str, depth: int) -> Iterator[str]:
    for alias, field in fields_of(model).items():
        inner = _model_in(field.annotation)
        if alias == name and path:
            yield path
        if inner is not None and depth:
            mark = "[]" if "list" in str(field.annotation).split("[")[0].lower() else ""
            yield from _places(inner, name, f"{path}.{alias}{mark}" if path else f"{alias}{mark}", depth - 1)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``list[Stage] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (typing.Union, UnionType, list, typing.Annotated):
        return next((found for found in map(_model_in, get_args(annotation)) if found is not None), None)
    return None
