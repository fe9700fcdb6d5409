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

from compression_runner.evaluation.machine.noise import machine
from samples.packages import cache
from tests.methods.sources import Sources

MARK: Final = "real_data"
RERUN: Final = "RERUN_PASSED"
KEPT: Final = 8
"""Passes of a test that are remembered: clones and branches share the cache."""
RELEASE: Final = Path("/etc/debian_version")
"""Samples come from PyPI and npm in versions that their sources name, and from the packages of this Debian."""


@dataclass(frozen=True)
class Record:
    """Where a pass of one test with one fingerprint is written down."""

    place: Path

    @classmethod
    def of(cls, test: str, fingerprint: str) -> "Record":
        """The record of a test, by its node id."""
        folder = hashlib.sha256(test.encode()).hexdigest()[:16]
        return cls(cache().parent / "passed" / folder / f"{fingerprint}.json")

    def read(self) -> str:
        """When it passed and how long that took; empty where it did not."""
        try:
            told = json.loads(self.place.read_text())
            return f"on {told['date']} ({told['seconds']:.0f} s)"
        except (OSError, ValueError, KeyError):
            return ""

    def keep(self, test: str, seconds: float) -> None:
        """Write a pass down; the oldest ones of the test are forgotten."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.place.with_suffix(f".{os.getpid()}")
        date = datetime.now(UTC).isoformat(timespec="seconds")
        fresh.write_text(json.dumps({"test": test, "date": date, "seconds": round(seconds, 2)}))
        fresh.rename(self.place)
        passes = sorted(self.place.parent.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in passes[KEPT:]:
            old.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the record: a test that failed has not passed."""
        self.place.unlink(missing_ok=True)


class Fingerprints:
    """Hashes of all that tests depend on: sources, locked libraries, data, and the machine that computes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources = Sources(root)
        self._of_files: dict[Path, str] = {}
        here = machine()
        about = [platform.python_version(), here.architecture, here.cpu, here.usable_cpus]
        self._surroundings = [json.dumps(about), *map(self._hash, (root / "uv.lock", root / "pyproject.toml", RELEASE))]

    def of(self, item: pytest.Item) -> str:
        """The fingerprint of one test."""
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
    """Mark what passed before as skipped."""
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
    """Write passes down, and take them back after a failure of the test or of its fixtures."""
    report = yield
    record = item.stash.get(RECORD, None)
    if record and report.failed:
        record.forget()
    elif record and report.when == "call" and report.passed:
        record.keep(item.nodeid, report.duration)
    return report
