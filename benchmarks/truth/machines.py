"""Simulated machines: a quiet one, and ones whose neighbours take a known share of the CPU time."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

BEFORE_OTHERS: Final = -19
"""Niceness of the predictors and their neighbours, so that other work on this machine has little effect."""
AUTOGROUP: Final = Path("/proc/self/autogroup")
"""If Linux divides the CPUs between sessions, niceness applies only within a session (sched(7))."""


@contextmanager
def quiet() -> Iterator[None]:
    """Run before all other processes (SCHED_FIFO), so that a machine with two or more CPUs is quiet for this one.

    Raises PermissionError without root or CAP_SYS_NICE.
    """
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def neighbours(share: float) -> Callable[[], AbstractContextManager[None]]:
    """Return a machine on which one other process per CPU works `share` of the time, in bursts."""

    @contextmanager
    def around() -> Iterator[None]:
        niceness = _go_before_others()
        context = get_context("spawn")
        processes = [
            context.Process(target=_bursts, args=(seed, share), daemon=True) for seed in range(os.cpu_count() or 1)
        ]
        for process in processes:
            process.start()
        try:
            yield
        finally:
            for process in processes:
                process.kill()
                process.join()
            os.setpriority(os.PRIO_PROCESS, 0, niceness)

    return around


def _go_before_others() -> int:
    """Give this session, including its future processes, priority; return the earlier niceness of this process."""
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    if os.getsid(0) != os.getpid() and os.getpgrp() != os.getpid():
        os.setsid()
    if AUTOGROUP.is_file():
        AUTOGROUP.write_text(str(BEFORE_OTHERS))
    os.setpriority(os.PRIO_PROCESS, 0, BEFORE_OTHERS)
    return niceness


MACHINES: Final = {
    "quiet": quiet,
    "20 %": neighbours(0.20),
    "40 %": neighbours(0.40),
    "60 %": neighbours(0.60),
}
"""Machines by the neighbours' share of the CPU time."""


def _bursts(seed: int, share: float) -> None:
    """Alternate work and sleep, until the parent process has ended."""
    generator, parent = np.random.default_rng(seed), os.getppid()
    while os.getppid() == parent:
        burst = float(generator.uniform(0.02, 0.2))
        end = time.monotonic() + burst
        while time.monotonic() < end:
            pass
        time.sleep(burst * (1.0 - share) / share)
