"""Wait for a condition of another process."""

import time
from collections.abc import Callable

from localcluster.errors import LocalClusterError


def until(what: str, ready: Callable[[], bool], seconds: float, remedy: str = "") -> None:
    """Check ten times a second until ready() is true. Raises LocalClusterError after the given seconds."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise LocalClusterError(f"{what} within {seconds:.0f} s did not happen. {remedy}".strip())
        time.sleep(0.1)
