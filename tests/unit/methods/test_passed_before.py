"""A passed test is skipped until one of its dependencies changes, and never after a failure."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.methods.passed_before import KEPT, RERUN, Record

REPOSITORY = Path(__file__).parents[3]
CONFTEST = "from tests.methods.passed_before import pytest_collection_modifyitems, pytest_runtest_makereport"
TEST = """
import pytest
from subject import answer

pytestmark = pytest.mark.real_data

def test_only_passes_of_unchanged_sources_are_answered():
    assert answer.ANSWER > 0
"""
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a test in a separate repository and returns pytest's output."""
    files = {
        "pytest.ini": "[pytest]\nmarkers = real_data\n",
        "conftest.py": CONFTEST,
        "test_it.py": TEST,
        "subject/__init__.py": "",
        "subject/answer.py": "ANSWER = 1",
        "subject/data.txt": "",
        "uv.lock": "",
    }
    repository = tmp_path / "repository"
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)

    def once(**environment: str) -> str:
        command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--import-mode=importlib"]
        path = f"{repository}:{REPOSITORY}"
        variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": path, **environment}
        ended = subprocess.run(command, cwd=repository, env=variables, capture_output=True, text=True, check=False)
        return ended.stdout + ended.stderr

    return once


def outcome(printed: str) -> str:
    match = re.search(r"^=+ (\d \w+) in .* =+$", printed, re.MULTILINE)
    assert match, printed
    return match[1]


@pytest.mark.parametrize("changed", ["subject/answer.py", "subject/data.txt", "test_it.py", "uv.lock"])
def test_a_passed_test_is_skipped_until_a_source_changes(run: Run, tmp_path: Path, changed: str) -> None:
    assert outcome(run()) == "1 passed"
    skipped = run()
    assert outcome(skipped) == "1 skipped"
    assert "passed before with this fingerprint on 20" in skipped
    file = tmp_path / "repository" / changed
    file.write_text(f"{file.read_text()}\n# changed\n")
    assert outcome(run()) == "1 passed"


def test_a_failure_is_never_skipped_and_deletes_the_record(run: Run, tmp_path: Path) -> None:
    assert outcome(run()) == "1 passed"
    # The same sources fail, since a test may depend on more than its fingerprint.
    conftest = tmp_path / "repository" / "pytest.ini"
    conftest.write_text("[pytest]\nmarkers = real_data\nusefixtures = absent\n")
    assert outcome(run(**{RERUN: "1"})) == "1 error"
    assert outcome(run()) == "1 error"
    conftest.write_text("[pytest]\nmarkers = real_data\n")
    assert outcome(run()) == "1 passed"
    assert outcome(run()) == "1 skipped"
    assert outcome(run(**{RERUN: "1"})) == "1 passed"


def test_only_the_newest_passes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    records = [Record.of("test", f"{number:02}") for number in range(KEPT + 2)]
    for number, record in enumerate(records):
        record.keep("test", 1.5)
        os.utime(record.place, (number, number))
    assert [bool(record.read()) for record in records] == [False] * 2 + [True] * KEPT
    assert records[-1].read().endswith("(2 s)")
