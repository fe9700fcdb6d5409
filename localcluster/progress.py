"""Progress output: one line for each step that takes time, with its seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
QUICK = 0.1
"""Seconds within which a step had nothing to do."""


def say(text: str) -> None:
    """Write a whole line to standard output, even if several steps run in parallel."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def step(title: str, *, slow: str = "") -> Iterator[None]:
    """Announce a slow step. Report a failure, and the end of a step that was not quick, with its seconds."""
    if slow:
        say(f"  ...  {title} ({slow})")
    started = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"FAILED {title} after {time.monotonic() - started:.1f} s")
        raise
    seconds = time.monotonic() - started
    if slow or seconds > QUICK:
        say(f"  ok   {title} {seconds:.1f} s")
