"""The unit tests that belong to changed files: ``python -m tests.support.changed`` prints them for `make check`."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = PurePosixPath("tests/unit")
ROOTS: Final = ("operator", "jobs", "tests")
"""Folders whose packages have their tests below tests/unit by the name of the package alone."""
MOST_FILES: Final = 30
"""A folder with more test files takes longer than seconds: only the files directly in it run."""
ELSEWHERE: Final = {
    "Makefile": "docs/test_commands.py",
    "crds/": "charts/test_generated.py",
    "docs/methods/": "docsite/test_method_pages.py",
    "examples/": "compressionjob/test_examples.py",
    "mkdocs.yml": "docsite/test_site.py",
    "samples/families.yaml": "benchmarks/test_families.py",
    "tests/invalid_jobs.yaml": "compressionjob/test_invalid_jobs.py",
    "tests/wrong_jobs": "support/test_messages.py",
    "uv.lock": "images/test_licences.py",
}
"""Start of a path -> the test of these files below tests/unit, where no folder of tests has their name."""
PAGES: Final = UNIT / "docs" / "test_commands.py"
"""What checks the commands, manifests and links of pages."""


def changed_files() -> list[str]:
    """Return the files that differ from the last commit, new ones included."""
    names = []
    for command in (("diff", "--name-only", "HEAD"), ("ls-files", "--others", "--exclude-standard")):
        done = subprocess.run(["git", *command], cwd=ROOT, check=True, capture_output=True, text=True)
        names += done.stdout.splitlines()
    return sorted(set(names))


def for_changes(files: Iterable[str], root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Return the tests of changed files, without what a folder of the list contains, and the files without a test."""
    tests = {name: {str(path) for path in _tests(PurePosixPath(name), root)} for name in files}
    wanted = set().union(*tests.values())
    untested = [name for name, own in tests.items() if not own and (root / name).is_file()]
    return sorted(path for path in wanted if not any(path.startswith(f"{other}/") for other in wanted)), untested


def _tests(path: PurePosixPath, root: Path) -> Iterator[PurePosixPath]:
    yield from (UNIT / test for start, test in ELSEWHERE.items() if str(path).startswith(start))
    if path.suffix == ".md":
        yield PAGES
    elif path.is_relative_to(UNIT) and path.name.startswith("test_"):
        if (root / path).is_file():
            yield path
    elif path.suffix == ".py":
        yield from _tests_of_module(path, root)
    else:
        yield from _near(_folder(path, root), root)


def _tests_of_module(path: PurePosixPath, root: Path) -> Iterator[PurePosixPath]:
    """Yield the test of a module's name; else those that import it, the nearest first; else those of its folder."""
    folder = _folder(path, root)
    named = UNIT / _in_package(path).with_name(f"test_{path.stem}.py")
    if (root / named).is_file():
        yield named
        return
    importing = _importing(path, root / folder, root)
    yield from importing or list(_near(folder, root)) or _importing(path, root / UNIT, root)


def _in_package(path: PurePosixPath) -> PurePosixPath:
    """Return a path below tests/unit, or below the folder of its package."""
    if path.is_relative_to(UNIT):
        return path.relative_to(UNIT)
    return path.relative_to(path.parts[0]) if path.parts[0] in ROOTS and len(path.parts) > 1 else path


def _folder(path: PurePosixPath, root: Path) -> PurePosixPath:
    """Return the closest folder of tests."""
    folder = UNIT / _in_package(path).parent
    while not (root / folder).is_dir():
        folder = folder.parent
    return folder


def _near(folder: PurePosixPath, root: Path) -> Iterator[PurePosixPath]:
    """Yield a folder of tests, or only the files directly in it if the whole folder takes long."""
    if folder == UNIT:
        return
    if len(list((root / folder).rglob("test_*.py"))) <= MOST_FILES:
        yield folder
    else:
        yield from (PurePosixPath(test.relative_to(root)) for test in (root / folder).glob("test_*.py"))


def _importing(path: PurePosixPath, folder: Path, root: Path) -> list[PurePosixPath]:
    """Return the tests below a folder that import a module."""
    module = path if path.parts[0] == "tests" else _in_package(path)
    parts = module.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    tests = sorted(folder.rglob("test_*.py"))
    return [PurePosixPath(test.relative_to(root)) for test in tests if imports(name, test.read_text())]


def imports(module: str, text: str) -> bool:
    """Return whether a Python text imports a module, or runs the package of a `__main__` module."""
    package, _, name = module.rpartition(".")
    if re.search(rf"^\s*(from|import) {re.escape(module)}(?![.\w])", text, re.MULTILINE):
        return True
    if name == "__main__" and re.search(rf'"-m", "{re.escape(package)}"', text):
        return True
    lists = re.findall(rf"^\s*from {re.escape(package)} import (\([^)]*\)|.*)$", text, re.MULTILINE)
    return any(name in re.findall(r"\w+", names) for names in lists)


if __name__ == "__main__":
    tests, untested = for_changes(changed_files())
    if untested:
        sys.stderr.write(f"no unit test belongs to: {', '.join(untested)}\n")
    sys.stdout.write(" ".join(tests))
