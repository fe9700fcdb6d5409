"""One line on the terminal for each step that took time, with its seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
QUICK = 0.1
"""Seconds within which a step has only seen that there is nothing to do."""


def say(text: str) -> None:
    """Write a line to standard output, whole even when several steps run beside each other."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def step(title: str, *, slow: str = "") -> Iterator[None]:
    """Announce a step that is slow; report a failure, and the end of a step that was not quick, with its seconds."""
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
