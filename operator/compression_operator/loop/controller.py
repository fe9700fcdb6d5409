"""The control loop: take a job from the queue, read the cache, plan, act."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cache.observed_job import ObservedJob
from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    ServerTrouble,
    Unreachable,
)
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS
from compression_operator.cluster.workloads import set_active
from compression_operator.loop.admission import Admission
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.reconcile import reconcile
from compression_operator.loop.status_writer import StatusWriter
from compression_operator.notifications.notifier import Notifier
from compression_operator.queue import WorkQueue
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.requirements import Requirements
from compression_operator.telemetry.event_recorder import EventRecorder
from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import Metrics
from compression_operator.telemetry.notes import Note
from compressionjob.group import JOB_UID_LABEL

MAX_STEPS: Final = 6
"""Maximum plans for one job in a row: confirm, create, adopt, and a reserve."""

logger = logging.getLogger(__name__)


class Controller:
    """Workers that reconcile jobs. Only the leader runs them."""

    def __init__(
        self,
        *,
        cache: Cache,
        client: Client,
        queue: WorkQueue,
        recorder: EventRecorder,
        metrics: Metrics,
        job_metrics: JobMetrics,
        notifier: Notifier,
        admission: Admission,
        follow: Callable[[str], None],
        isolate: Callable[[str], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        requirements: Requirements | None = None,
    ) -> None:
        self._cache = cache
        self._client = client
        self._queue = queue
        self._recorder = recorder
        self._metrics = metrics
        self._job_metrics = job_metrics
        self._notifier = notifier
        self._admission = admission
        self._follow = follow
        self._isolate = isolate
        self._now = now
        self._requirements = requirements or Requirements()
        self._statuses = StatusWriter(cache=cache, client=client, metrics=metrics, job_metrics=job_metrics, now=now)
        self._first_seen: dict[str, float] = {}

    def noticed(self, uid: str) -> None:
        """Record when a job was applied, for the metric of the time to its child."""
        self._first_seen.setdefault(uid, time.monotonic())

    async def run(self, workers: int) -> None:
        """Reconcile all known jobs, then each job that changes, until cancelled."""
        self._statuses.clear()
        self._admission.clear()
        for uid in self._cache.uids():
            self._queue.add(uid)
            job = self._cache.job(uid)
            if job is not None:
                self._job_metrics.restore(job)
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            started = time.perf_counter()
            outcome = "cancelled"
            try:
                outcome = await self._reconcile_safely(uid)
            finally:
                self._queue.done(uid)
                self._metrics.reconcile_seconds.labels(outcome).observe(time.perf_counter() - started)

    async def _reconcile_safely(self, uid: str) -> str:
        try:
            outcome = await self._reconcile(uid)
        except ApiError as error:
            self._metrics.reconcile_errors.labels(error.reason).inc()
            delay = self._queue.retry(uid, error.retry_after)
            level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
            logger.log(level, "trying again in %.1f s: %s", delay, error, extra=self._log_fields(uid))
            return "error"
        except Exception:
            self._metrics.reconcile_errors.labels("Bug").inc()
            self._queue.retry(uid)
            self._admission.leave(uid)  # no other job waits for this one
            logger.exception("this is a bug", extra=self._log_fields(uid))
            return "error"
        self._queue.forget(uid)
        return outcome

    async def _reconcile(self, uid: str) -> str:
        """Plan and act until nothing is left to do now; return the outcome for the metric."""
        confirmed = False
        foreign: ChildRecord | None = None
        refusal: Refused | None = None
        for _ in range(MAX_STEPS):
            observed = self._cache.observe(
                uid, confirmed=confirmed, foreign_child=foreign, refusal=refusal, decided=self._statuses.restore
            )
            if observed is None:
                self._job_metrics.remove(uid)
                self._first_seen.pop(uid, None)
                self._statuses.forget(uid)
                self._admission.leave(uid)
                self._notifier.update(uid)
                return "gone"
            observed = replace(self._notifier.inform(observed), requirements=self._requirements)
            plan = reconcile(observed, self._now())
            if plan.confirm:
                foreign = await self._confirm(observed.job)
                confirmed = True
            elif plan.delete_child is not None and plan.status is None:
                await self._delete_child(observed.job, plan.delete_child, plan.events)
            elif plan.create is not None:
                with self._reserved(observed.job):
                    foreign, refusal = await self._offer(observed, plan.create)
            elif plan.patch_child is not None and observed.child is not None:
                with self._reserved(observed.job):
                    await self._patch_child(observed.child, plan.patch_child)
            else:
                return await self._conclude(observed, plan)
        raise AssertionError(f"no end of planning for the job {uid} after {MAX_STEPS} steps")

    async def _confirm(self, job: JobRecord) -> ChildRecord | None:
        """Read child and pods of a job again; return a Job with the child's name that has another owner."""
        try:
            child = ChildRecord.of(await self._client.get(JOBS, job.namespace, job.child_name))
        except NotFound:
            child = None
        own = child if child is not None and child.belongs_to(job) else None
        selector = f"{JOB_UID_LABEL}={job.uid}"
        pods = [
            PodRecord.of(item)
            async for page in self._client.pages(PODS, job.namespace, selector=selector)
            for item in page["items"]
        ]
        self._cache.replace_workers(job.uid, own, pods)
        return None if own is child else child

    @contextmanager
    def _reserved(self, job: JobRecord) -> Iterator[None]:
        """Keep other workers from starting a Job that writes where this one will."""
        self._cache.writers.reserve(job)
        try:
            yield
        except (Unreachable, ServerTrouble):
            raise  # the request may have succeeded: keep the reservation until the next reconcile
        except BaseException:
            self._cache.writers.release(job)
            raise
        self._cache.writers.release(job)

    async def _delete_child(self, job: JobRecord, child: ChildRecord, notes: Iterable[Note]) -> None:
        for note in notes:
            self._record_event(job, note)
        with suppress(NotFound, Conflict):
            await self._client.delete(JOBS, child.namespace, child.name, child.uid)
        self._cache.drop(JOBS, {"uid": child.uid, "namespace": child.namespace, "labels": {JOB_UID_LABEL: job.uid}})

    def _record_event(self, job: JobRecord, note: Note) -> None:
        self._recorder.record(job, note)
        self._job_metrics.record_event(note)

    async def _offer(self, observed: ObservedJob, manifest: Any) -> tuple[ChildRecord | None, Refused | None]:
        """Create the child if it is the job's turn; return a Job of another owner, or the refusal of the child."""
        job = observed.job
        offer = (job.generation, job.part, observed.runtime and observed.runtime.version)
        held = self._admission.hold(job, offer)
        if held is not None:
            return None, held
        try:
            foreign = await self._create(job, manifest)
        except (Forbidden, Invalid) as error:
            logger.warning("the child was refused: %s", error, extra=job.log_fields)
            return None, self._admission.refuse(job, offer, error)
        except Conflict:
            self._admission.leave(job.uid)
            raise
        self._admission.admit(job.uid)
        return foreign, None

    async def _create(self, job: JobRecord, manifest: Any) -> ChildRecord | None:
        """Create the child, or adopt an existing one; return a Job of that name with another owner."""
        await self._isolate(job.namespace)
        try:
            metadata = await self._client.create(JOBS, job.namespace, manifest)
        except AlreadyExists:
            existing = await self._client.get(JOBS, job.namespace, manifest["metadata"]["name"])
            child = ChildRecord.of(existing)
            if not child.belongs_to(job):
                return child
            if child.deleting:
                raise Conflict(409, "its predecessor is still being deleted", request=f"create {child.name}") from None
            self._cache.put(JOBS, existing, own_write=True)
            return None
        self._cache.own_children.add(metadata["uid"])
        self._cache.put(JOBS, {**manifest, "metadata": metadata}, own_write=True)
        seen = self._first_seen.pop(job.uid, None)
        if seen is not None:
            self._metrics.apply_to_child.observe(time.monotonic() - seen)
        return None

    async def _patch_child(self, child: ChildRecord, patch: Any) -> None:
        guarded = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": str(child.version)}}
        try:
            answer = await self._client.merge_patch(JOBS, child.namespace, child.name, guarded)
        except Conflict:
            self._cache.put(JOBS, await self._client.get(JOBS, child.namespace, child.name))
            raise
        self._cache.put(JOBS, answer, own_write=True)

    async def _set_queued(self, child: ChildRecord, wanted: bool) -> None:
        """Let the child's queue start it, or not; a child without a Workload is suspended directly."""
        known = await set_active(self._client, child.namespace, child.uid, active=wanted)
        if not known and not wanted and not child.suspended:
            await self._patch_child(child, {"spec": {"suspend": True}})

    async def _conclude(self, observed: ObservedJob, plan: ReconcilePlan) -> str:
        job = observed.job
        self._cache.writers.release(job)
        if observed.refusal is None:
            self._admission.leave(job.uid)
        if observed.runtime is not None:
            self._job_metrics.expect_cost(observed.runtime)
        if plan.queued and observed.child is not None:
            with self._reserved(job):  # until the status states that the job is resumed
                await self._set_queued(observed.child, True)
                wrote = await self._write(job, plan)
        else:
            wrote = await self._write(job, plan)
        if not wrote:
            self._job_metrics.restore(job)
        for note in plan.events:
            self._record_event(job, note)
        if plan.queued is False and observed.child is not None:
            # After the status: the next reconcile must know that the queue was changed.
            await self._set_queued(observed.child, False)
        if plan.delete:
            await self._delete(job)
        if plan.requeue_after is not None:
            self._queue.add(job.uid, plan.requeue_after)
        if observed.child is not None:
            self._follow(job.uid)
        self._notifier.update(job.uid)
        return "changed" if wrote or plan.delete else "unchanged"

    async def _write(self, job: JobRecord, plan: ReconcilePlan) -> bool:
        if plan.delete_child is not None:
            await self._delete_child(job, plan.delete_child, ())
        return plan.status is not None and await self._statuses.write(job, plan.status)

    async def _delete(self, job: JobRecord) -> None:
        try:
            await self._client.delete(COMPRESSION_JOBS, job.namespace, job.name, job.uid)
        except (NotFound, Conflict):
            logger.debug("already gone", extra=job.log_fields)

    def _log_fields(self, uid: str) -> dict[str, str]:
        """Return the fields of log lines about a job; its uid if it is gone."""
        job = self._cache.job(uid)
        return {"job": uid} if job is None else job.log_fields
