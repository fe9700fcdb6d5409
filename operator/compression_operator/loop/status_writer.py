"""Write statuses: in full, or the largest subset that the API server accepts if its CRDs are older."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import Conflict, Invalid, NotFound
from compression_operator.cluster.resources import COMPRESSION_JOBS
from compression_operator.loop.status_levels import LEVELS, Level, without_marker
from compression_operator.loop.status_patch import status_patch
from compression_operator.records.job import JobRecord
from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import Metrics
from compressionjob.status import TERMINAL_PHASES

FULL_AGAIN: Final = 600.0
"""Seconds until the full status of an unfinished job is tried again: the CRDs may have been upgraded."""

_UNPROCESSABLE: Final = 422

Status = Mapping[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refused full status: the message, when to try again, the intended status, and the accepted level."""

    message: str
    again: float
    intended: Status
    level: Level


class StatusWriter:
    """Writes statuses, and keeps the refused ones until their jobs end."""

    def __init__(
        self,
        *,
        cache: Cache,
        client: Client,
        metrics: Metrics,
        job_metrics: JobMetrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._client = client
        self._metrics = metrics
        self._job_metrics = job_metrics
        self._now = now
        self._clock = clock
        self._refused: dict[str, _Refusal] = {}

    def restore(self, job: JobRecord) -> JobRecord:
        """Return the job with its intended status if the API server stores less: nothing is decided twice."""
        refusal = self._refused.get(job.uid)
        return job if refusal is None else job.rewritten({"resourceVersion": job.version}, refusal.intended)

    def forget(self, uid: str) -> None:
        """Forget a job that is gone."""
        self._refused.pop(uid, None)

    def clear(self) -> None:
        """Forget all jobs: another replica may have written their statuses."""
        self._refused.clear()

    async def write(self, job: JobRecord, status: Status) -> bool:
        """Write a job's status, or the largest accepted subset of it; return whether there was a change.

        Raises Invalid if the API server refuses even the smallest subset, and the other errors of ``cluster.errors``.
        """
        try:
            changed = await self._write(self._cache.job(job.uid) or job, status)
        except Conflict:
            self._cache.put(COMPRESSION_JOBS, await self._client.get(COMPRESSION_JOBS, job.namespace, job.name))
            raise
        except NotFound:
            self._cache.drop(COMPRESSION_JOBS, {"uid": job.uid})
            return False
        if changed:
            self._job_metrics.record_status(job, status)
        if status.get("phase") != job.phase:
            names = job.log_fields | {"phase": status["phase"]}
            logger.info("%s: %s", status["phase"], status.get("message", ""), extra=names)
        return changed

    async def _write(self, stored: JobRecord, status: Status) -> bool:
        ends = status.get("phase") in TERMINAL_PHASES
        status = without_marker(stored, status)
        refusal = self._refused.get(stored.uid)
        if refusal is None or ends or self._clock() >= refusal.again:
            try:
                changed = await self._patch(stored, status)
            except Invalid as error:
                refusal = self._refusal(stored, status, error)
            else:
                self._refused.pop(stored.uid, None)
                return changed
        self._refused[stored.uid] = await self._write_less(stored, status, refusal)
        if ends:
            self.forget(stored.uid)  # no decision about the job follows
        return True

    async def _write_less(self, stored: JobRecord, status: Status, refusal: _Refusal) -> _Refusal:
        """Write smaller subsets of a status until the API server accepts one; return the refusal and that level."""
        message = refusal.message
        for level in LEVELS[LEVELS.index(refusal.level) :]:
            try:
                await self._patch(stored, level.reduce(stored, status, message, self._now()))
            except Invalid as error:
                self._note(level.name, error)
                if level is LEVELS[-1]:
                    raise
                message = error.message
            else:
                return replace(refusal, message=message, intended=status, level=level)
        raise AssertionError("unreachable: the last level returns or raises")

    async def _patch(self, stored: JobRecord, status: Status) -> bool:
        patch = status_patch(stored, status)
        if patch is None:
            return False
        metadata = await self._client.patch_status(COMPRESSION_JOBS, stored.namespace, stored.name, patch)
        self._cache.wrote_status(stored, metadata, status)
        return True

    def _refusal(self, stored: JobRecord, status: Status, error: Invalid) -> _Refusal:
        self._note("full", error)
        if stored.uid not in self._refused:
            logger.warning("status refused; writing a part of it: %s", error, extra=stored.log_fields)
        return _Refusal(error.message, self._clock() + FULL_AGAIN, status, LEVELS[0])

    def _note(self, level: str, error: Invalid) -> None:
        """Count a refused status; raise the error again if it is not about the status."""
        if error.code != _UNPROCESSABLE:
            raise error
        self._metrics.status_refused.labels(level).inc()
