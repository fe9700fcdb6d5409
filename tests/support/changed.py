"""The unit tests that belong to changed files: ``python -m tests.support.changed`` prints them for `make check`."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = PurePosixPath("tests/unit")
ROOTS: Final = ("operator/", "jobs/")
"""Folders whose packages have their tests below tests/unit by the name of the package alone."""
PAGES: Final = UNIT / "docs" / "test_commands.py"
"""What checks the commands, manifests and links of pages."""


def changed_files() -> list[str]:
    """Return the files that differ from the last commit, new ones included."""
    names = []
    for command in (("diff", "--name-only", "HEAD"), ("ls-files", "--others", "--exclude-standard")):
        done = subprocess.run(["git", *command], cwd=ROOT, check=True, capture_output=True, text=True)
        names += done.stdout.splitlines()
    return sorted(set(names))


def for_changes(files: Iterable[str], root: Path = ROOT) -> list[str]:
    """Return the test files and folders for changed files, without what another folder of the list contains."""
    wanted = {str(path) for name in files for path in _tests(name, root)}
    return sorted(path for path in wanted if not any(path.startswith(f"{other}/") for other in wanted))


def _tests(name: str, root: Path) -> Iterator[PurePosixPath]:
    path = PurePosixPath(name)
    if path.suffix == ".md":
        yield PAGES
    if path.suffix != ".py":
        return
    if path.is_relative_to(UNIT):
        if path.name.startswith("test_") and (root / path).is_file():
            yield path
        return
    package = PurePosixPath(next((name.removeprefix(start) for start in ROOTS if name.startswith(start)), name))
    folder = UNIT / package.parent
    named = folder / f"test_{path.stem}.py"
    if (root / named).is_file():
        yield named
        return
    while not (root / folder).is_dir():
        folder = folder.parent
    if folder != UNIT:
        yield folder


if __name__ == "__main__":
    sys.stdout.write(" ".join(for_changes(changed_files())))
