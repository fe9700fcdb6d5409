"""Codes of errors that end a run, with the remedies that the code gives: read from the source of the runner."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from docsite.cells import text_cell

ROOT: Final = Path(__file__).parents[1]
RUNNER: Final = ROOT / "jobs" / "compression_runner"
CONTRACT: Final = ROOT / "operator" / "compressionjob"
ENDS: Final[Mapping[str, str]] = {
    "InvalidInput": "The model, the data or the specification cannot work",
    "BadRecipe": "A stage cannot compress this model in this way",
    "StorageUnavailable": "A store is unavailable; the operator retries",
    "DiskFull": "No room on disk",
}
"""Class of an error, which is the reason of the job -> title."""
REMEDY: Final = 4
"""Position of the remedy among the arguments of an error."""


def section() -> Iterator[str]:
    """Yield the section of the page that lists every code."""
    yield from ("## Codes of a run", "")
    yield (
        "Besides the reason, the log of a run has a code and its remedy (`kubectl compress logs NAME`). A code can "
        "have several remedies, and the log names the one that applies. … stands for a value of your job."
    )
    for kind, title in ENDS.items():
        yield from ("", f"### {title} (`{kind}`)", "", "| code | remedy |", "|---|---|")
        codes = remedies(kind)
        yield from (f"| `{code}` | {text_cell('; '.join(codes[code]))} |" for code in sorted(codes))


def remedies(kind: str) -> Mapping[str, list[str]]:
    """Return the remedies of each code of a class of errors."""
    by_code: dict[str, list[str]] = defaultdict(list)
    for file in sorted(RUNNER.rglob("*.py")):
        tree = ast.parse(file.read_text())
        constants = {**_constants(), **dict(_texts_of_module(tree))}
        for function in _functions(tree):
            for call in _calls(function, kind):
                texts = by_code[str(ast.literal_eval(call.args[0]))]
                texts += [text for text in _texts(call, function, constants) if text not in texts]
    return by_code


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield the functions that no other function holds, and methods."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            yield node
        else:
            nodes += ast.iter_child_nodes(node)


def _calls(function: ast.FunctionDef, kind: str) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == kind:
            yield from [node] if node.args and isinstance(node.args[0], ast.Constant) else []


def _texts(call: ast.Call, function: ast.FunctionDef, constants: Mapping[str, str]) -> Iterator[str]:
    """Yield the remedy of an error: a text, or the text that a variable of the function has at the call."""
    remedy = call.args[REMEDY] if len(call.args) > REMEDY else None
    if isinstance(remedy, ast.Name):
        before = [value for line, value in _assigned(function, remedy.id) if line <= call.lineno]
        remedy = before[-1] if before else ast.Constant(constants.get(remedy.id))
    if remedy is not None:
        yield from _written(remedy, constants)


def _assigned(function: ast.FunctionDef, name: str) -> list[tuple[int, ast.expr]]:
    """Return the values that a function gives to a variable, with their lines in order."""
    values = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            (target,) = node.targets[:1]
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            values += [(node.lineno, value) for part, value in pairs if isinstance(part, ast.Name) and part.id == name]
    return sorted(values, key=lambda each: each[0])


def _written(value: ast.expr, constants: Mapping[str, str]) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        yield "".join(_part(part, constants) for part in value.values)
    elif isinstance(value, ast.IfExp):
        yield from (*_written(value.body, constants), *_written(value.orelse, constants))


def _part(part: ast.expr, constants: Mapping[str, str]) -> str:
    """Return a part of an f-string: its text, that of a constant, or … for a value of the job."""
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
        return constants.get(part.value.id, "…")
    return str(part.value) if isinstance(part, ast.Constant) else "…"


@cache
def _constants() -> Mapping[str, str]:
    """Return the texts that are constants of a module, by name; without names that have several texts."""
    texts: dict[str, set[str]] = defaultdict(set)
    for file in (*RUNNER.rglob("*.py"), *CONTRACT.rglob("*.py")):
        for name, text in _texts_of_module(ast.parse(file.read_text())):
            texts[name].add(text)
    return {name: next(iter(values)) for name, values in texts.items() if len(values) == 1}


def _texts_of_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield name and text of the constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            yield ast.unparse(node.target), str(node.value.value)
