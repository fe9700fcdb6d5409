"""Progress requests to running pods."""

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
from compression_operator.cache.forecasts import split_forecast
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.metrics import Metrics
from compressionjob.pod_interface import PORT, PROGRESS_PATH
from compressionjob.report import Progress

POLLERS: Final = 16
"""Maximum number of concurrent requests."""
MAX_RESPONSE: Final = 64 * 1024

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)

logger = logging.getLogger(__name__)


class ProgressPolls:
    """Polls the running pod of each followed job, once per interval, until no pod of it runs."""

    def __init__(self, cache: Cache, metrics: Metrics, interval: float, port: int = PORT) -> None:
        self._cache = cache
        self._port = port
        self._metrics = metrics
        self._interval = interval
        self._turns = WorkQueue()
        self._last_progress: dict[str, float] = {}

    def follow(self, uid: str) -> None:
        """Start to poll the job's pod, if one runs."""
        if uid not in self._last_progress and self._cache.running_pod(uid) is not None:
            self._last_progress[uid] = time.time()
            self._turns.add(uid)

    @property
    def last_progress(self) -> Mapping[str, float]:
        """When the pod of each followed job last advanced, or was first polled: Unix times by uid."""
        return self._last_progress

    async def run(self) -> None:
        """Poll until cancelled; then forget all followed jobs."""
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, asyncio.TaskGroup() as group:
                for _ in range(POLLERS):
                    group.create_task(self._poll(session))
        finally:
            # A request that was interrupted would keep its job from being polled again.
            self._turns.clear()
            self._last_progress.clear()

    async def _poll(self, session: aiohttp.ClientSession) -> None:
        while True:
            uid = await self._turns.get()
            pod = self._cache.running_pod(uid)
            if pod is None:
                self._last_progress.pop(uid, None)
                self._turns.done(uid)
                continue
            report = await self._request(session, pod.ip)
            if report is not None:
                progress, forecast = split_forecast(report, pod.uid, datetime.now(UTC))
                if self._cache.put_progress(uid, progress, forecast):
                    self._last_progress[uid] = time.time()
            self._turns.add(uid, self._interval * random.uniform(0.8, 1.2))
            self._turns.done(uid)

    async def _request(self, session: aiohttp.ClientSession, ip: str) -> Progress | None:
        host = f"[{ip}]" if ":" in ip else ip
        try:
            async with session.get(f"http://{host}:{self._port}{PROGRESS_PATH}", allow_redirects=False) as response:
                response.raise_for_status()
                progress = Progress.model_validate_json(await response.content.read(MAX_RESPONSE))
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            # The pod has just started, is ending, or is busy: the next poll decides.
            self._metrics.progress_polls.labels("failed").inc()
            logger.debug("no progress from %s: %r", ip, error)
            return None
        self._metrics.progress_polls.labels("answered").inc()
        return progress
