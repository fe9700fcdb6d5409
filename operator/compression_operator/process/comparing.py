"""Periodic resync of the cache with the cluster, and an extra one after a gap of a watch."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from compression_operator.cache.resync import Resync
from compression_operator.cluster.errors import ApiError
from compression_operator.telemetry.metrics import Metrics

INTERVAL: Final = 45.0
"""Seconds from the start of one comparison to the next on the leader: a missed change is seen within a minute."""
STANDBY_INTERVAL: Final = 600.0
"""The same on a standby. A new leader compares within INTERVAL."""
PAUSE: Final = 5.0
"""Minimum seconds between two comparisons, even if the watches often have gaps."""

logger = logging.getLogger(__name__)


async def keep_comparing(
    resync: Resync, metrics: Metrics, soon: asyncio.Event, leads: Callable[[], bool], interval: float = INTERVAL
) -> None:
    """Compare until cancelled: every ``interval`` seconds while ``leads``, and shortly after ``soon`` is set."""
    clock = asyncio.get_running_loop().time
    began, pause = clock() - PAUSE, PAUSE
    while True:
        await _wait(soon, interval - (clock() - began) % interval)
        if not soon.is_set() and not leads() and clock() - began < STANDBY_INTERVAL:
            continue
        await asyncio.sleep(began + pause - clock())
        soon.clear()
        began, pause = clock(), PAUSE
        try:
            metrics.watch_missing.set(await resync.missing())
        except ApiError as error:
            logger.warning("the cache was not compared with the cluster: %s", error)
            pause = max(PAUSE, min(error.retry_after, interval))
            soon.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return
