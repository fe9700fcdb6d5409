"""The kernel's counters of threads that are ready and have no CPU: real ones, and missing ones."""

import os
import threading
import time
from pathlib import Path

import pytest

from compression_runner.evaluation.machine.waiting import ThreadWaits


def _spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_thread_that_shares_its_cpu_waits_as_long_as_the_other_runs() -> None:
    """The kernel's waiting time is the difference of this thread's CPU clock and the wall clock."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    child = os.fork()
    if child == 0:
        while True:
            pass
    try:
        with ThreadWaits() as waits:
            assert waits.available
            before, wall, cpu = waits.read(), time.monotonic(), time.thread_time()
            _spin(0.2)
            lacking = (time.monotonic() - wall) - (time.thread_time() - cpu)
            after = waits.read()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.sched_setaffinity(0, allowed)
    waited = (after.caller - before.caller) / 1e9
    assert waited > 0.02
    assert waited == pytest.approx(lacking, abs=0.01)
    assert after.every - before.every >= after.caller - before.caller


def test_waiting_of_ended_threads_stays_counted() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with ThreadWaits() as waits:
        first = waits.read()
        stop.set()
        thread.join()
        assert waits.read().every >= first.every


def test_a_kernel_that_does_not_count_gives_zeros(tmp_path: Path) -> None:
    (tmp_path / str(threading.get_native_id())).mkdir()
    with ThreadWaits(tmp_path) as waits:
        assert not waits.available
        assert waits.read() == (0, 0)


def test_zeros_of_the_kernel_do_not_count(tmp_path: Path) -> None:
    own = tmp_path / str(threading.get_native_id())
    own.mkdir()
    (own / "schedstat").write_text("0 0 0\n")
    with ThreadWaits(tmp_path) as waits:
        assert not waits.available


def test_an_uncountable_thread_disables_the_counters(tmp_path: Path) -> None:
    own, other = tmp_path / str(threading.get_native_id()), tmp_path / "1"
    own.mkdir()
    other.mkdir()
    (own / "schedstat").write_text("5 6 7\n")
    (other / "schedstat").symlink_to("schedstat")  # cannot be opened, as any file where there are too many
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ThreadWaits(tmp_path) as waits:
        assert not waits.available
        assert len(list(Path("/proc/self/fd").iterdir())) == before
