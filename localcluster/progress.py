"""One line on the terminal for each step, with the seconds that it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


def say(text: str) -> None:
    """Write a line to standard output, whole even when several steps run beside each other."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def step(title: str, *, slow: str = "") -> Iterator[None]:
    """Announce a step that is slow, and report every step's end or failure with its seconds."""
    if slow:
        say(f"  ...  {title} ({slow})")
    started = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"FAILED {title} after {time.monotonic() - started:.1f} s")
        raise
    say(f"  ok   {title} {time.monotonic() - started:.1f} s")
