"""Names that Python files define, and the files' own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wording.words import CLASS_NAMES, IN_NAMES, PUBLISHED

WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def forbidden_names(path: Path, tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield (line, name, remedy) of each name in `path` with a forbidden word; line 0 is the file's own name."""
    if remedy := _remedy(path.stem):
        yield 0, path.name, remedy
    for node in ast.walk(tree):
        for name in _defined(node):
            of_class = CLASS_NAMES.get(name.lstrip("_")) if isinstance(node, ast.ClassDef) else None
            if remedy := of_class or _remedy(name):
                yield getattr(node, "lineno", 0), name, remedy


def _defined(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case ast.alias(asname=str(name)):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name


def _remedy(name: str) -> str | None:
    if name in PUBLISHED:
        return None
    words = [word.lower() for word in WORD.findall(name)]
    for before, word in zip(["", *words], words, strict=False):
        if word in IN_NAMES and (before, word) != ("not", "found"):
            return IN_NAMES[word]
    return None
