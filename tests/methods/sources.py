"""Find the files of a repository that a Python file imports, directly or indirectly."""

import ast
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

IMPORT_ROOTS: Final = ("operator", "jobs", ".")
"""Folders that hold this repository's packages."""
NOT_DATA: Final = (".py", ".pyc", ".md")


class Sources:
    """The import graph of the Python files below the root of a repository."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._roots = [root / name for name in IMPORT_ROOTS]
        self._imported: dict[Path, frozenset[Path]] = {}

    def dependencies(self, *files: Path) -> frozenset[Path]:
        """Return the files themselves, the modules of the repository that they import, and their packages' data.

        Imports inside functions count, and so does the module of a command `python -m MODULE`. The data of a package
        outside `tests` is every file in its folder that is neither Python nor documentation.
        """
        modules: set[Path] = set()
        pending = list(files)
        while pending:
            module = pending.pop()
            if module not in modules:
                modules.add(module)
                pending += self._imports(module)
        packages = {self._package(module) for module in modules}
        return frozenset(modules).union(*(self._data.get(package, ()) for package in packages))

    def _imports(self, file: Path) -> frozenset[Path]:
        if file not in self._imported:
            nodes = ast.walk(ast.parse(file.read_text()))
            names = {name for node in nodes for name in self._named(node, file)}
            self._imported[file] = frozenset(place for name in names for place in self._files(name))
        return self._imported[file]

    def _named(self, node: ast.AST, file: Path) -> Iterator[str]:
        """Yield the names that may be modules: both a and a.b of `from a import b`."""
        match node:
            case ast.Import(names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module, names, level):
                above = file.relative_to(self._above(file)).parts[:-level] if level else ()
                base = ".".join((*above, *([module] if module else ())))
                yield base
                yield from (f"{base}.{name.name}" for name in names)
            case ast.List(elements) | ast.Tuple(elements):
                words = [str(element.value) if isinstance(element, ast.Constant) else None for element in elements]
                for flag, word in pairwise(words):
                    if flag == "-m":
                        yield from (f"{word}", f"{word}.__main__")

    def _files(self, name: str) -> list[Path]:
        """Return the file of a module and the __init__.py of each package above it; empty for external modules."""
        parts = name.split(".")
        for root in self._roots:
            place = root.joinpath(*parts)
            candidates = [
                file for file in (place.with_name(f"{place.name}.py"), place / "__init__.py") if file.is_file()
            ]
            if candidates:
                above = (root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts)))
                return [candidates[0], *(file for file in above if file.is_file())]
        return []

    def _above(self, file: Path) -> Path:
        """Return the import root that holds a file."""
        return next(root for root in self._roots if file.is_relative_to(root))

    def _package(self, module: Path) -> Path:
        """Return the folder of the top-level package that a file belongs to."""
        root = self._above(module)
        return root / module.relative_to(root).parts[0]

    @cached_property
    def _data(self) -> dict[Path, list[Path]]:
        """Return the data files of each top-level package by the package's folder."""
        packages = [file.parent for root in self._roots for file in root.glob("*/__init__.py")]
        return {
            package: [file for file in package.rglob("*") if file.is_file() and file.suffix not in NOT_DATA]
            for package in packages
            if package != self._root / "tests"
        }
