"""The lock between local runs, with real processes: parallel work, messages, and killed runs."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from compression_runner.pipeline.machine_lock import LOCK_VARIABLE, WAITING, MachineLock, NoTurns, turn_lock
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress
from compressionjob.report import Progress

_HOLDER: Final = """
import os, sys
from pathlib import Path
from compression_runner.pipeline.machine_lock import MachineLock
from compression_runner.telemetry.progress import RunProgress

os.setuid(int(sys.argv[2]))
lock = MachineLock(Path(sys.argv[1]), RunProgress())
print("ready", flush=True)
for line in sys.stdin:
    with getattr(lock, line.strip())():
        print("in", flush=True)
        sys.stdin.readline()
    print("out", flush=True)
"""


class Other:
    """Another run, as a process that follows commands."""

    def __init__(self, place: Path, user: int = os.geteuid()) -> None:
        command = [sys.executable, "-c", _HOLDER, str(place), str(user)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line() != "ready":
            self.end()
            raise AssertionError("it did not start; its traceback is in stderr")

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, section: str) -> None:
        """Let it request `compressing` or `measuring`, without waiting for the lock."""
        self._say(section)

    def enter(self, section: str) -> None:
        self._say(section)
        self.is_in()

    def is_in(self) -> None:
        assert self._line() == "in"

    def leave(self) -> None:
        self._say("leave")
        assert self._line() == "out"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def is_blocked(self) -> bool:
        """Return whether it soon waits for a lock."""
        return eventually(lambda: waits(self.pid))

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def waits(pid: int) -> bool:
    lines = map(str.split, Path("/proc/locks").read_text().splitlines())
    return any(fields[1:3] == ["->", "FLOCK"] and fields[5] == str(pid) for fields in lines)


def eventually(check: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if check():
            return True
        time.sleep(0.02)
    return False


class Said:
    """The progress that a run shows."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.details: list[str] = []

    def started(self, phase: Phase, progress: Progress) -> None:
        self.phases.append(phase.title)

    def advanced(self, progress: Progress, within: float) -> None:
        self.details.append(progress.detail)

    def ended(self, phase: Phase, seconds: float, progress: Progress) -> None:
        self.phases.append(f"{phase.title} ended")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "runs.lock"


@pytest.fixture
def other(place: Path) -> Iterator[Callable[[], Other]]:
    """Starts other runs, and ends them."""
    started: list[Other] = []

    def start() -> Other:
        started.append(Other(place))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_runs_compress_in_parallel_and_measure_alone(other: Callable[[], Other]) -> None:
    first, second, third = other(), other(), other()
    first.enter("compressing")
    second.enter("compressing")
    third.ask("measuring")
    assert third.is_blocked()
    first.leave()
    assert third.is_blocked()
    second.leave()
    third.is_in()
    first.ask("measuring")
    second.ask("compressing")
    assert first.is_blocked()
    assert second.is_blocked()
    third.leave()


def test_new_compressing_runs_queue_behind_a_waiting_measurement(other: Callable[[], Other]) -> None:
    first, second, third = other(), other(), other()
    first.enter("compressing")
    second.ask("measuring")
    assert second.is_blocked()
    third.ask("compressing")
    assert third.is_blocked()
    first.leave()
    second.is_in()
    assert third.is_blocked()
    second.leave()
    third.is_in()


@pytest.mark.parametrize("section", ["measuring", "compressing"])
def test_a_killed_run_releases_the_lock(other: Callable[[], Other], section: str) -> None:
    first, second = other(), other()
    first.enter(section)
    second.ask("measuring")
    assert second.is_blocked()
    first.process.send_signal(signal.SIGKILL)
    second.is_in()


def test_a_killed_waiting_run_releases_the_gate(other: Callable[[], Other]) -> None:
    first, second, third = other(), other(), other()
    first.enter("compressing")
    second.ask("measuring")
    assert second.is_blocked()
    second.process.send_signal(signal.SIGKILL)
    third.enter("compressing")


def test_a_run_reports_the_reason_and_time_of_waiting(
    place: Path, other: Callable[[], Other], caplog: pytest.LogCaptureFixture
) -> None:
    said = Said()
    holder = other()
    holder.enter("measuring")
    lock = MachineLock(place, RunProgress([said]))
    with caplog.at_level("INFO"):
        assert lock.waited == 0.0
        # It leaves as soon as this run waits.
        watcher = subprocess.Popen([sys.executable, "-c", _KILL_WHEN_WAITED_FOR, str(os.getpid()), str(holder.pid)])
        with lock.compressing():
            watcher.wait()
    line = f"waiting for its turn on this machine: process {holder.pid} measures"
    assert [record.getMessage() for record in caplog.records] == [line]
    assert said.phases == [WAITING, f"{WAITING} ended"]
    assert f"process {holder.pid} measures" in said.details
    assert lock.waited > 0.0


_KILL_WHEN_WAITED_FOR: Final = """
import os, signal, sys, time
from pathlib import Path

while not any("->" in line and f" {sys.argv[1]} " in line for line in Path("/proc/locks").read_text().splitlines()):
    time.sleep(0.02)
os.kill(int(sys.argv[2]), signal.SIGKILL)
"""


def test_a_free_lock_is_not_waited_for(place: Path) -> None:
    said = Said()
    lock = MachineLock(place, RunProgress([said]))
    with lock.compressing():
        pass
    with lock.measuring(), lock.compressing():
        pass
    assert lock.waited == 0.0
    assert said.phases == []
    assert lock.reservation.isolation == "Turns"


def test_compressing_within_measuring_keeps_the_lock(place: Path, other: Callable[[], Other]) -> None:
    second = other()
    lock = MachineLock(place, RunProgress())
    with lock.measuring():
        with lock.compressing():
            pass
        second.ask("compressing")
        assert second.is_blocked()
    second.is_in()


def test_a_removed_file_is_created_again_for_all(place: Path, other: Callable[[], Other]) -> None:
    first = other()
    place.unlink()
    second = other()
    first.enter("measuring")
    second.ask("measuring")
    assert second.is_blocked()


def test_every_user_can_read_the_file_whatever_the_umask(place: Path) -> None:
    before = os.umask(0o077)
    try:
        MachineLock(place, RunProgress())
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert list(place.parent.glob(".*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_takes_turns_with_the_files_creator() -> None:
    """As in /tmp: all may write to the directory, and none to the files of others."""
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o1777)
        place = Path(shared) / "runs.lock"
        lock = MachineLock(place, RunProgress())
        with lock.measuring():
            second = Other(place, user=65534)
            second.ask("measuring")
            assert second.is_blocked()
        second.is_in()
        second.end()


@pytest.mark.parametrize("spoil", [
    lambda place: place.mkdir(),
    lambda place: os.mkfifo(place),
    lambda place: place.symlink_to("/etc/passwd"),
    lambda place: place.parent.rmdir(),
], ids=["folder", "pipe", "link", "nothing"])  # fmt: skip
def test_without_a_lockable_file_a_run_continues_with_a_note(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    place = tmp_path / "folder" / "runs.lock"
    place.parent.mkdir()
    spoil(place)
    lock = turn_lock({LOCK_VARIABLE: str(place)}, RunProgress())
    assert isinstance(lock, NoTurns)
    assert lock.reservation.isolation == "Shared"
    assert f"no turns are taken by {place}" in lock.reservation.notes[0]
    with lock.measuring(), lock.compressing():
        assert lock.waited == 0.0


def test_a_file_system_without_one_kind_of_lock_is_detected_before_the_run(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS gives no exclusive lock on a file that is open for reading."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            raise OSError(errno.EBADF, "")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = turn_lock({LOCK_VARIABLE: str(place)}, RunProgress())
    assert isinstance(lock, NoTurns)
    assert "Bad file descriptor" in lock.reservation.notes[0]


def test_the_environment_names_the_file(place: Path) -> None:
    assert isinstance(turn_lock({LOCK_VARIABLE: str(place)}, RunProgress()), MachineLock)
    assert place.read_text().startswith("compression-runner: runs on this machine take turns")
