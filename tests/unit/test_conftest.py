"""Distribution of tests to workers (tests/conftest.py)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import FIRST, HERE, LAST, FileScheduling, pytest_xdist_make_scheduler, sort_key


def config(dist: str) -> Any:
    """Return the options of a run with two workers."""
    option = SimpleNamespace(loadscopereorder=False)
    return SimpleNamespace(option=option, getoption={"dist": dist}.get, getvalue={"tx": ["2*popen"]}.get)


def unit_of_work(test: str) -> str:
    scheduler = pytest_xdist_make_scheduler(config("loadfile"), None)
    assert isinstance(scheduler, FileScheduling)
    return scheduler._split_scope(test)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("tests/unit/demo/test_play.py::test_a[x::y]", "tests/unit/demo/test_play.py"),
        ("tests/integration/runner/test_pod.py::test_a", "tests/integration/runner"),
        ("tests/integration/chart/test_admission.py::test_a", "tests/integration/chart"),
        ("tests/integration/observability/test_schema.py::test_a", "tests/integration/observability"),
    ],
)
def test_files_go_to_workers_and_folders_that_share_a_server(test: str, expected: str) -> None:
    assert unit_of_work(test) == expected


def test_another_distribution_mode_is_unchanged() -> None:
    assert pytest_xdist_make_scheduler(config("load"), None) is None


def test_the_longest_tests_start_first_and_unit_tests_last() -> None:
    folders = [*FIRST, "integration/chart", LAST]
    places = [sort_key(HERE / folder / "test_a.py") for folder in folders]
    assert places == sorted(set(places))


@pytest.mark.parametrize("folder", [*FIRST, LAST])
def test_the_folders_of_the_order_exist(folder: str) -> None:
    assert list(Path(HERE / folder).rglob("test_*.py"))
