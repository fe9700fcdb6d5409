"""What all tests share: how they are given to workers, and whose turn local runs take.

Files are shared out among workers, a file at a time, the longest first.

A worker takes the next file when it is about to end the one that it has. The files of unit tests come last: each takes
seconds, so that all workers end at about the same time.
"""

import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

# Local runs on one machine take turns; those of tests wait for no other worker's, nor for a user's.
os.environ["COMPRESSION_LOCK"] = str(Path(tempfile.gettempdir()) / f"compression-runner-tests-{os.getpid()}.lock")

# How long an example takes says something of the machine's load, and nothing of the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

HERE: Final = Path(__file__).parent
FIRST: Final = ("integration/operator", "integration/runner", "e2e/localcluster", "methods")
"""Folders that take longest, in the order in which they begin. The first one mostly waits: others use the CPUs."""
LAST: Final = "unit"
PACKAGE_FIXTURE: Final = re.compile(r'^@pytest\.fixture\(scope="package"', re.MULTILINE)


class FileScheduling(LoadFileScheduling):
    """Gives files to workers, and whole folders whose files share a fixture of package scope, such as a server."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((str(folder) for folder in Path(file).parents if shares_fixture(folder)), file)


@cache
def shares_fixture(folder: Path) -> bool:
    """Whether the files of a folder, named from the repository's root, share a fixture of package scope."""
    conftest = HERE.parent / folder / "conftest.py"
    return conftest.is_file() and PACKAGE_FIXTURE.search(conftest.read_text()) is not None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling | None:
    """Give out files for ``--dist loadfile``."""
    return FileScheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; otherwise the order stays."""
    items.sort(key=lambda item: place_in_order(item.path))


def place_in_order(file: Path) -> int:
    """Return where a file comes in the order: a number that is the same for all files of a folder."""
    if file.is_relative_to(HERE / LAST):
        return len(FIRST) + 1
    return next((place for place, name in enumerate(FIRST) if file.is_relative_to(HERE / name)), len(FIRST))
