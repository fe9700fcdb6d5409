"""The operator's cache: trimmed records by uid, updated by watches and by the operator's own writes."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from compression_operator.cache.deleted_jobs import DeletedJobs
from compression_operator.cache.forecasts import Forecast
from compression_operator.cache.observed_job import ObservedJob
from compression_operator.cache.platform import PLATFORM, Platform, PlatformRecord
from compression_operator.cache.reviews import Reviews
from compression_operator.cache.slots import MeasuringSlots
from compression_operator.cache.workers import OwnChildren, Workers
from compression_operator.cache.writers import Writers
from compression_operator.cluster.errors import Refused
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS, REVIEWS, Resource
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import Raw, job_uid
from compression_operator.records.review import ReviewRecord
from compression_operator.records.runtime import RuntimeRecord
from compressionjob.group import JOB_UID_LABEL
from compressionjob.report import Progress

Worker = ChildRecord | PodRecord
_Record = JobRecord | PlatformRecord | ReviewRecord | Worker
Notify = Callable[[str], None]


class Cache:
    """Records of all kinds, and the links between them.

    ``changed`` is called with the uid of each CompressionJob that has changed. Records only go forward:
    an event that is older than what the operator itself wrote is ignored. Of an ended job,
    only the job itself is kept: its child and pods no longer matter, and 10,000 ended jobs must fit into memory.
    ``released`` is called with the namespace of each child Job that ends or is deleted: another Job may now fit.
    """

    def __init__(self, changed: Notify, released: Notify = lambda _: None, *, children_protected: bool = False) -> None:
        self._changed = changed
        self._released = released
        self.platform = Platform()
        self.runtimes = self.platform.runtimes
        self.writers = Writers(changed, self.platform.write_locations)
        self.slots = MeasuringSlots(changed)
        self.own_children = OwnChildren(protected=children_protected)
        self._jobs: dict[str, JobRecord] = {}
        self.reviews = Reviews()
        self._workers: dict[str, Workers] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._tally: Counter[tuple[str, str]] = Counter()
        self._deleted = DeletedJobs()

    def uids(self) -> list[str]:
        """Return the uids of all CompressionJobs."""
        return list(self._jobs)

    def job(self, uid: str) -> JobRecord | None:
        """Return a CompressionJob."""
        return self._jobs.get(uid)

    def job_named(self, namespace: str, name: str) -> JobRecord | None:
        """Return the CompressionJob that has this name now."""
        return self._jobs.get(self._by_name.get((namespace, name), ""))

    def jobs(self) -> Iterable[JobRecord]:
        """Return all CompressionJobs."""
        return self._jobs.values()

    def runtime(self, name: str) -> RuntimeRecord | None:
        """Return a CompressionRuntime."""
        return self.runtimes.get(name)

    def tally(self) -> Counter[tuple[str, str]]:
        """Return the number of CompressionJobs by phase and reason."""
        return self._tally

    def observe(
        self,
        uid: str,
        *,
        confirmed: bool = False,
        foreign_child: ChildRecord | None = None,
        refusal: Refused | None = None,
        decided: Callable[[JobRecord], JobRecord] = lambda job: job,
    ) -> ObservedJob | None:
        """Return a job with everything that belongs to it, or None when there is no such job."""
        job = self._jobs.get(uid)
        if job is None:
            return None
        job = decided(job)
        named = (workers := self._workers.get(uid, _NONE)).child_of(job)
        child = named if named is not None and self.own_children.has(job, named) else None
        job = self.runtimes.begin(job, child)
        starts = not job.over and (child is None or (child.suspended and not job.suspend))
        return ObservedJob(
            job=job,
            runtime=self.runtimes.get(job.present_runtime),
            measuring_runtime=self.runtimes.get(job.measuring_runtime),
            stores=self.platform.stores.of(job.namespace),
            namespace_labels=self.platform.namespaces.labels(job.namespace),
            reviews=() if job.ended else self.reviews.about(job.namespace, job.name),
            child=child,
            pods=() if child is None else tuple(pod for pod in workers.pods.values() if pod.belongs_to(child)),
            progress=workers.progress,
            finish=workers.finish(),
            confirmed=confirmed,
            foreign_child=foreign_child,
            refusal=refusal,
            stranger=named if child is None else None,
            blocker=self.writers.blocker(job) if starts else None,
            waiting_for_slot=self.slots.waiting()[job.present_runtime],
            slot_seconds=self.slots.seconds(job.present_runtime),
            known_jobs=tuple(self._jobs) if job.cleaning and child is None else (),
            checkpoint_user=self.platform.checkpoint_users.other(job) if job.ended and job.cleanup.retains else "",
            measured_first=self.slots.ahead(job, self.runtimes) if starts and child is None else 0,
        )

    def running_pod(self, uid: str) -> PodRecord | None:
        """Return the running pod of an unfinished job, which answers progress requests."""
        observed = self.observe(uid)
        pods = () if observed is None or observed.job.ended else observed.pods
        return next((pod for pod in pods if pod.running and pod.ip and not pod.deleting), None)

    def put(self, resource: Resource, raw: Raw, *, own_write: bool = False) -> None:
        """Store the present state of an object; ``own_write`` notifies no one, since the operator made the change."""
        metadata = raw["metadata"]
        # A worker of an ended job may still write.
        is_left = resource in (JOBS, PODS) and self._is_over(job_uid(metadata))
        if self.knows(resource, metadata) and not is_left:  # usually the echo of our own write: skip the trimming
            return
        notify = _ignore if own_write else self._changed
        if resource is COMPRESSION_JOBS:
            self._put_job(JobRecord.of(raw), notify)
        elif resource in PLATFORM:
            self._notify_waiting(self.platform.put(resource, raw))
        elif resource is REVIEWS:
            self._notify_reviewed(self.reviews.put(ReviewRecord.of(raw)))
        else:
            self._put_worker(ChildRecord.of(raw) if resource is JOBS else PodRecord.of(raw), notify)

    def wrote_status(self, job: JobRecord, metadata: Raw, status: Raw) -> None:
        """Store a job with the status that the operator wrote, in the version of the response."""
        self._put_job(job.rewritten(metadata, status), _ignore)

    def drop(self, resource: Resource, metadata: Raw) -> None:
        """Forget an object that is gone."""
        uid = metadata["uid"]
        if resource is COMPRESSION_JOBS:
            self._drop_job(uid)
        elif resource in PLATFORM:
            self._notify_waiting(self.platform.drop(resource, metadata))
        elif resource is REVIEWS:
            self._notify_reviewed(self.reviews.drop(uid))
        else:
            self._forget_worker(uid)
            self.own_children.forget(uid)
            if resource is JOBS:
                self._released(metadata.get("namespace", ""))
            owner = job_uid(metadata)
            workers = self._workers.get(owner)
            if workers is not None and workers.of(resource).pop(uid, None) is not None:
                if workers.empty:
                    del self._workers[owner]
                self._changed(owner)

    def replace_workers(self, uid: str, child: ChildRecord | None, pods: list[PodRecord]) -> None:
        """Replace the child and pods of a job by those that were just read."""
        workers = self._workers.setdefault(uid, Workers())
        for gone in workers.replace(child, pods):
            self._forget_worker(gone)
        for worker in workers.all():
            self._note(worker)

    def put_progress(self, uid: str, progress: Progress, forecast: Forecast | None = None) -> bool:
        """Store the progress and the forecast of a pod; return whether it has advanced."""
        workers = self._workers.get(uid)
        if workers is None:
            return False
        advanced, significant = workers.take(progress, forecast)
        if significant:
            self._changed(uid)
        return advanced

    def knows(self, resource: Resource, metadata: Raw) -> bool:
        """Return whether the cache is at least as new as this object, of which only the metadata is given."""
        if resource in (JOBS, PODS) and self._is_over(job_uid(metadata)):
            return True
        record = self._record(resource, metadata)
        return record is not None and record.version >= int(metadata["resourceVersion"])

    def versions(self, resource: Resource) -> dict[str, tuple[int, Raw]]:
        """Return the version of each object of a kind, and enough metadata for ``drop``, by uid."""
        if resource is COMPRESSION_JOBS:
            return {uid: (job.version, {"uid": uid}) for uid, job in self._jobs.items()}
        if resource in PLATFORM:
            return self.platform.versions(resource)
        if resource is REVIEWS:
            return self.reviews.versions()
        return self.writers.versions("Job" if resource is JOBS else "Pod") | {
            uid: (record.version, {"uid": uid, "namespace": record.namespace, "labels": {JOB_UID_LABEL: owner}})
            for owner, workers in self._workers.items()
            for uid, record in workers.of(resource).items()
        }

    def _record(self, resource: Resource, metadata: Raw) -> _Record | None:
        if resource is COMPRESSION_JOBS:
            return self._jobs.get(metadata["uid"])
        if resource in PLATFORM:
            return self.platform.get(resource, metadata)
        if resource is REVIEWS:
            return self.reviews.get(metadata["uid"])
        return self._workers.get(job_uid(metadata), _NONE).of(resource).get(metadata["uid"])

    def _put_job(self, job: JobRecord, notify: Callable[[str], None]) -> None:
        known = self._jobs.get(job.uid)
        # The response to our own write may arrive after the watch event of the deletion.
        if job.uid in self._deleted or (known is not None and known.version >= job.version):
            return
        if known is not None:
            self._count(known, -1)
            if known.part != job.part and job.uid in self._workers:
                self._workers[job.uid].progress = None  # it belongs to the previous part
        self._jobs[job.uid] = job
        self._by_name[job.namespace, job.name] = job.uid
        self._count(job, +1)
        self.platform.put_job(job, known)
        for child in self._workers.get(job.uid, _NONE).children.values():
            self.writers.note(child, job)  # the child of a suspended job does not write
        if job.over:
            self._workers.pop(job.uid, None)
            self.writers.forget_job(job.uid)
        self.reviews.recheck(job.namespace, job.name)
        notify(job.uid)

    def _drop_job(self, uid: str) -> None:
        self._deleted.add(uid)
        known = self._jobs.pop(uid, None)
        if known is None:
            return
        self._count(known, -1)
        if self._by_name.get((known.namespace, known.name)) == uid:
            del self._by_name[known.namespace, known.name]
        self.platform.discard_job(known)
        self._workers.pop(uid, None)
        self.writers.forget_job(uid)
        self.writers.release(known)
        self._changed(uid)

    def _note(self, worker: Worker) -> None:
        """Record where a worker writes and what it waits for, also for jobs that have ended or are gone."""
        self.writers.note(worker, self._jobs.get(worker.job_uid))
        if isinstance(worker, PodRecord):
            self.slots.note(worker)

    def _forget_worker(self, uid: str) -> None:
        self.writers.drop(uid)
        self.slots.drop(uid)

    def _put_worker(self, worker: Worker, notify: Callable[[str], None]) -> None:
        self._note(worker)
        if self._is_over(worker.job_uid):
            return
        workers = self._workers.setdefault(worker.job_uid, Workers())
        held: dict[str, Any] = workers.children if isinstance(worker, ChildRecord) else workers.pods
        known = held.get(worker.uid)
        if known is None or known.version < worker.version:
            held[worker.uid] = worker
            if isinstance(worker, ChildRecord) and worker.ended and not (known is not None and known.ended):
                self._released(worker.namespace)
            notify(worker.job_uid)

    def _notify_waiting(self, uids: set[str]) -> None:
        # Only jobs without a child for their present part depend on their runtime and stores.
        for uid in uids:
            if not self._jobs[uid].ended and not self._workers.get(uid, _NONE).has_child_for(self._jobs[uid].part):
                self._changed(uid)

    def _notify_reviewed(self, review: ReviewRecord | None) -> None:
        uid = self._by_name.get((review.namespace, review.job)) if review is not None else None
        if uid is not None and not self._jobs[uid].ended:
            self._changed(uid)

    def _is_over(self, uid: str) -> bool:
        return (job := self._jobs.get(uid)) is not None and job.over

    def _count(self, job: JobRecord, change: int) -> None:
        key = (job.phase, job.reason)
        self._tally[key] += change
        if not self._tally[key]:
            del self._tally[key]


_NONE: Final = Workers()


def _ignore(_: str) -> None:
    """Notify no one."""
