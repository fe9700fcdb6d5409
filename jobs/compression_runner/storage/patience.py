"""How often, and how long, a store is asked again before it counts as away."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")

PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts."""
PATIENCE: Final = 30.0
"""Seconds after which an attempt that failed was the last one."""


def patiently(attempt: Callable[[], Result], may_pass: Callable[[Exception], bool]) -> Result:
    """Tries again, with growing pauses, what failed in a way that may pass; not where trying took long already."""
    start = time.monotonic()
    for pause in PAUSES:
        try:
            return attempt()
        except Exception as error:
            if not may_pass(error) or time.monotonic() - start > PATIENCE:
                raise
            time.sleep(pause)
    return attempt()
