"""The process is pinned to its measuring CPUs, and restored."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from compression_runner.evaluation.machine.cpus import MeasuringCpus
from compression_runner.evaluation.machine.pinning import pinned

ALL = os.sched_getaffinity(0)
ONE = max(ALL)
CPUS = MeasuringCpus((ONE,), 1, "Turns", pins=True, notes=())


@contextmanager
def another_thread() -> Iterator[int]:
    """Yield the number of a thread that waits."""
    started, done = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait()
    try:
        assert thread.native_id is not None
        yield thread.native_id
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(len(ALL) < 2, reason="with one CPU there is nothing to choose")
def test_every_thread_is_pinned_and_restored() -> None:
    with another_thread() as before:
        with pinned(CPUS) as pin, another_thread() as later:
            assert pin.held
            assert all(os.sched_getaffinity(thread) == {ONE} for thread in (0, before, later))
            command = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{{{ONE}}}\n"
            pin.release()
            assert all(os.sched_getaffinity(thread) == ALL for thread in (0, before, later))
        assert pin.held, "it was pinned while it measured"


@pytest.mark.skipif(len(ALL) < 2, reason="with one CPU there is nothing to choose")
def test_an_error_releases_the_pin_and_threads_keep_what_they_had() -> None:
    with another_thread() as narrow:
        os.sched_setaffinity(narrow, {min(ALL)})
        seen: list[set[int]] = []
        with pytest.raises(ZeroDivisionError):
            fail_pinned(lambda: seen.append(os.sched_getaffinity(narrow)))
        assert seen == [{ONE}]
        assert os.sched_getaffinity(0) == ALL
        assert os.sched_getaffinity(narrow) == {min(ALL)}


def fail_pinned(look: Callable[[], None]) -> None:
    with pinned(CPUS):
        look()
        raise ZeroDivisionError


def refused(thread: int, cpus: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("break_it", [
    lambda patch: patch.setattr(os, "sched_setaffinity", refused),
    lambda patch: patch.delattr(os, "sched_setaffinity"),
], ids=["seccomp", "not Linux"])  # fmt: skip
def test_refused_pinning_leaves_threads_unpinned(
    break_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_thread() as narrow:
        os.sched_setaffinity(narrow, {ONE})  # as OpenVINO pins its own threads
        break_it(monkeypatch)
        with pinned(CPUS) as pin:
            assert not pin.held
            assert os.sched_getaffinity(0) == ALL
        assert os.sched_getaffinity(narrow) == {ONE}


def test_without_isolation_nothing_is_pinned() -> None:
    with pinned(MeasuringCpus((ONE,), 1, "Shared", pins=False, notes=())) as pin:
        assert not pin.held
        assert os.sched_getaffinity(0) == ALL
