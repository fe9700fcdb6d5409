"""What can be wrong with a specification, as one type that names field, value and remedy.

InvalidSpec
`-- carries one or more FieldProblem
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

MAX_VALUE_CHARACTERS = 120


@dataclass(frozen=True)
class FieldProblem:
    """One thing that is wrong: the field's path, the value found there, and what to write instead."""

    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r} is not valid: {self.remedy}"


class InvalidSpec(ValueError):
    """A manifest that no retry will make valid."""

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


def problems_of(error: ValidationError, prefix: str = "") -> list[FieldProblem]:
    """Translate pydantic's errors: the problems that a validator named itself, or its message as the remedy."""
    problems: list[FieldProblem] = []
    for item in error.errors():
        inner = item.get("ctx", {}).get("error")
        problem = FieldProblem(
            field=field_path(item["loc"], prefix),
            value=_shorten(item.get("input")),
            remedy=_remedy(str(item["type"]), item["msg"]),
        )
        problems.extend(inner.problems if isinstance(inner, InvalidSpec) else [problem])
    return problems


def _remedy(kind: str, message: str) -> str:
    if kind == "missing":
        return "it is required; add it"
    if kind == "extra_forbidden":
        return "there is no such field; remove it or correct its name"
    return message.removeprefix("Value error, ")


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 3] + "..."
