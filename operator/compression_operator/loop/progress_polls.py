"""Asking running pods how far they have come."""

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import aiohttp
from pydantic import ValidationError

from compression_operator.cache.cache import Cache
from compression_operator.cache.forecasts import told
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.metrics import Metrics
from compressionjob.pod import PORT, PROGRESS_PATH
from compressionjob.report import Progress

POLLERS: Final = 16
"""Most questions that are open at a time, however many pods run."""
MAX_ANSWER: Final = 64 * 1024

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)

logger = logging.getLogger(__name__)


class ProgressPolls:
    """Asks the running pod of every followed job, one question per interval, until no pod of it runs."""

    def __init__(self, cache: Cache, metrics: Metrics, interval: float, port: int = PORT) -> None:
        self._cache = cache
        self._port = port
        self._metrics = metrics
        self._interval = interval
        self._turns = WorkQueue()
        self._last_news: dict[str, float] = {}

    def follow(self, uid: str) -> None:
        """Ask the job's pod from now on, if one runs."""
        if uid not in self._last_news and self._cache.running_pod(uid) is not None:
            self._last_news[uid] = time.time()
            self._turns.add(uid)

    @property
    def last_news(self) -> Mapping[str, float]:
        """When each followed job's pod told something new, or was first asked: Unix times by uid."""
        return self._last_news

    async def run(self) -> None:
        """Ask until cancelled; the jobs to ask are then forgotten."""
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, asyncio.TaskGroup() as group:
                for _ in range(POLLERS):
                    group.create_task(self._poll(session))
        finally:
            # A question that was cut short would keep its job from ever being asked again.
            self._turns.clear()
            self._last_news.clear()

    async def _poll(self, session: aiohttp.ClientSession) -> None:
        while True:
            uid = await self._turns.get()
            pod = self._cache.running_pod(uid)
            if pod is None:
                self._last_news.pop(uid, None)
                self._turns.done(uid)
                continue
            progress = await self._ask(session, pod.ip)
            if progress is not None and self._cache.put_progress(uid, *told(progress, pod.uid, datetime.now(UTC))):
                self._last_news[uid] = time.time()
            self._turns.add(uid, self._interval * random.uniform(0.8, 1.2))
            self._turns.done(uid)

    async def _ask(self, session: aiohttp.ClientSession, ip: str) -> Progress | None:
        host = f"[{ip}]" if ":" in ip else ip
        try:
            async with session.get(f"http://{host}:{self._port}{PROGRESS_PATH}", allow_redirects=False) as response:
                response.raise_for_status()
                progress = Progress.model_validate_json(await response.content.read(MAX_ANSWER))
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            # A pod that has just started, is ending, or is busy: the next turn will tell.
            self._metrics.progress_polls.labels("failed").inc()
            logger.debug("no progress from %s: %r", ip, error)
            return None
        self._metrics.progress_polls.labels("answered").inc()
        return progress
