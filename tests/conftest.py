"""Settings of all tests: their distribution to workers, and the lock of local runs.

Workers get one file at a time, the longest first, when they are about to end the previous one. The files of unit tests
come last: each takes seconds, so that all workers end at about the same time.
"""

import gc
import os
import re
import tempfile
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

# Torch, Transformers and the test modules create millions of objects that stay: collections would scan them all.
gc.disable()

# Local runs on one machine take turns. Those of a worker do not wait for other workers or users.
os.environ["COMPRESSION_LOCK"] = str(Path(tempfile.gettempdir()) / f"compression-runner-tests-{os.getpid()}.lock")

# No deadline: the duration of an example depends on the load of the machine.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

HERE: Final = Path(__file__).parent
FIRST: Final = ("integration/operator", "integration/runner", "e2e/localcluster", "methods")
"""Folders with the longest tests, in the order of their start. The first mostly waits, so others can use the CPUs."""
LAST: Final = "unit"
PACKAGE_FIXTURE: Final = re.compile(r'^@pytest\.fixture\(scope="package"', re.MULTILINE)


class FileScheduling(LoadFileScheduling):
    """Distributes files, and whole folders if their files share a fixture of package scope, such as a server."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((str(folder) for folder in Path(file).parents if shares_fixture(folder)), file)


@cache
def shares_fixture(folder: Path) -> bool:
    """Return whether the files of a folder (relative to the repository) share a fixture of package scope."""
    conftest = HERE.parent / folder / "conftest.py"
    return conftest.is_file() and PACKAGE_FIXTURE.search(conftest.read_text()) is not None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling | None:
    """Return the scheduler for ``--dist loadfile``."""
    return FileScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude what the imports of the test modules have created from later collections, and resume these."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the longest tests to the front, and keep the order otherwise."""
    items.sort(key=lambda item: sort_key(item.path))


def sort_key(file: Path) -> int:
    """Return the sort key of a file, which is the same for all files of a folder."""
    if file.is_relative_to(HERE / LAST):
        return len(FIRST) + 1
    return next((rank for rank, name in enumerate(FIRST) if file.is_relative_to(HERE / name)), len(FIRST))
