"""Tests on real data that passed before with the same sources, libraries and data: they are skipped, and say so.

A pass is recorded in the user's cache under a fingerprint of all that the test depends on. A failure takes its record
away. RERUN_PASSED=1 runs every test, whatever is recorded. A module takes part by `pytestmark = pytest.mark.real_data`.
"""

import hashlib
import json
import os
import platform
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from compression_runner.evaluation.machine.description import machine
from samples.packages import cache
from tests.methods.sources import Sources

MARK: Final = "real_data"
RERUN: Final = "RERUN_PASSED"
KEPT: Final = 8
"""Number of passes stored per test, since clones and branches share the cache."""
RELEASE: Final = Path("/etc/debian_version")
"""Samples come from PyPI and npm in versions that their sources name, and from the packages of this Debian."""


@dataclass(frozen=True)
class Record:
    """The file that records that a test passed with a fingerprint."""

    place: Path

    @classmethod
    def of(cls, test: str, fingerprint: str) -> "Record":
        """Return the record of a test by its node id."""
        folder = hashlib.sha256(test.encode()).hexdigest()[:16]
        return cls(cache().parent / "passed" / folder / f"{fingerprint}.json")

    def read(self) -> str:
        """Return the date and duration of the pass as text, or an empty string if there is none."""
        try:
            record = json.loads(self.place.read_text())
            return f"on {record['date']} ({record['seconds']:.0f} s)"
        except (OSError, ValueError, KeyError):
            return ""

    def keep(self, test: str, seconds: float) -> None:
        """Record a pass and remove the oldest records of the test beyond `KEPT`."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.place.with_suffix(f".{os.getpid()}")
        date = datetime.now(UTC).isoformat(timespec="seconds")
        fresh.write_text(json.dumps({"test": test, "date": date, "seconds": round(seconds, 2)}))
        fresh.rename(self.place)
        passes = sorted(self.place.parent.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in passes[KEPT:]:
            old.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the record, because the test failed."""
        self.place.unlink(missing_ok=True)


class Fingerprints:
    """Hash everything that a test depends on: sources, locked libraries, data and the machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources = Sources(root)
        self._of_files: dict[Path, str] = {}
        here = machine()
        about = [platform.python_version(), here.architecture, here.cpu, here.usable_cpus]
        self._surroundings = [json.dumps(about), *map(self._hash, (root / "uv.lock", root / "pyproject.toml", RELEASE))]

    def of(self, item: pytest.Item) -> str:
        """Return the fingerprint of a test."""
        conftests = (folder / "conftest.py" for folder in item.path.parents if folder.is_relative_to(self._root))
        files = self._sources.dependencies(item.path, *(file for file in conftests if file.is_file()))
        named = [f"{file.relative_to(self._root)} {self._hash(file)}" for file in sorted(files)]
        parts = [item.nodeid, *self._surroundings, *named]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def _hash(self, file: Path) -> str:
        if file not in self._of_files:
            self._of_files[file] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        return self._of_files[file]


RECORD: Final = pytest.StashKey[Record]()


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Skip the tests that passed before with the same fingerprint."""
    chosen = [item for item in items if item.get_closest_marker(MARK)]
    if not chosen:
        return
    fingerprints = Fingerprints(config.rootpath)
    for item in chosen:
        record = item.stash[RECORD] = Record.of(item.nodeid, fingerprints.of(item))
        passed = record.read()
        if passed and os.environ.get(RERUN) != "1":
            reason = f"passed before with this fingerprint {passed}; {RERUN}=1 runs it again"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record passes, and remove the record after a failure of the test or of its fixtures."""
    report = yield
    record = item.stash.get(RECORD, None)
    if record and report.failed:
        record.forget()
    elif record and report.when == "call" and report.passed:
        record.keep(item.nodeid, report.duration)
    return report
