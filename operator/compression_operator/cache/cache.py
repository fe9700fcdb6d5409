"""What the operator knows of the cluster: trimmed records by uid, kept up to date by watching and by its own writes."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from compression_operator.cache.forecasts import Forecast
from compression_operator.cache.jobs import Jobs
from compression_operator.cache.namespaces import NamespaceRecord, Namespaces
from compression_operator.cache.observed import Observed
from compression_operator.cache.reviews import Reviews
from compression_operator.cache.runtimes import Runtimes
from compression_operator.cache.slots import MeasuringSlots
from compression_operator.cache.workers import OwnChildren, Workers
from compression_operator.cache.writers import Writers
from compression_operator.cluster.errors import Refused
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, NAMESPACES, PODS, REVIEWS, RUNTIMES, Resource
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import Raw, job_uid
from compression_operator.records.review import ReviewRecord
from compression_operator.records.runtime import RuntimeRecord
from compressionjob.conditions import RUNTIME_NOT_ALLOWED
from compressionjob.group import JOB_UID_LABEL
from compressionjob.report import Progress

Worker = ChildRecord | PodRecord
Record = JobRecord | RuntimeRecord | ReviewRecord | NamespaceRecord | Worker
Notify = Callable[[str], None]


class Cache:
    """Records of the five kinds, and what belongs together.

    ``changed`` is called with the uid of every CompressionJob that something happened to. Records only go forward:
    an event that is older than what the operator itself wrote is ignored. Of a job that has ended nothing but the job
    itself is kept: its child and pods no longer matter, and 10,000 ended jobs must fit into memory.
    ``released`` is called with the namespace of every child Job that ends or is deleted: it may make room for another.
    """

    def __init__(self, changed: Notify, released: Notify = lambda _: None, *, children_protected: bool = False) -> None:
        self._changed = changed
        self._released = released
        self.writers = Writers(changed, self._places)
        self.slots = MeasuringSlots(changed)
        self.own_children = OwnChildren(protected=children_protected)
        self._jobs = Jobs()
        self.runtimes = Runtimes()
        self.reviews = Reviews()
        self.namespaces = Namespaces()
        self._workers: dict[str, Workers] = {}

    def uids(self) -> list[str]:
        """The uids of all CompressionJobs."""
        return [job.uid for job in self._jobs]

    def job(self, uid: str) -> JobRecord | None:
        """A CompressionJob."""
        return self._jobs.get(uid)

    def job_named(self, namespace: str, name: str) -> JobRecord | None:
        """The CompressionJob that has this name now."""
        return self._jobs.named(namespace, name)

    def jobs(self) -> Iterable[JobRecord]:
        """All CompressionJobs."""
        return self._jobs

    def runtime(self, name: str) -> RuntimeRecord | None:
        """A CompressionRuntime."""
        return self.runtimes.get(name)

    def tally(self) -> Counter[tuple[str, str]]:
        """The number of CompressionJobs by phase and reason."""
        return self._jobs.tally

    def observe(
        self,
        uid: str,
        *,
        confirmed: bool = False,
        foreign_child: ChildRecord | None = None,
        refusal: Refused | None = None,
        decided: Callable[[JobRecord], JobRecord] = lambda job: job,
    ) -> Observed | None:
        """A job with everything that belongs to it, or None when there is no such job."""
        job = self._jobs.get(uid)
        if job is None:
            return None
        job = decided(job)
        found = (workers := self._workers.get(uid, _NONE)).child_of(job)
        child = found if found is not None and self.own_children.has(job, found) else None
        job = self.runtimes.begin(job, child)
        starts = not job.ended and (child is None or (child.suspended and not job.suspend))
        return Observed(
            job=job,
            runtime=self.runtimes.get(job.present_runtime),
            measuring_runtime=self.runtimes.get(job.measuring_runtime),
            reviews=() if job.ended else self.reviews.about(job.namespace, job.name),
            child=child,
            pods=() if child is None else tuple(pod for pod in workers.pods.values() if pod.belongs_to(child)),
            progress=workers.progress,
            finish=workers.finish(),
            confirmed=confirmed,
            foreign_child=foreign_child,
            refusal=refusal,
            stranger=found if child is None else None,
            blocker=self.writers.blocker(job) if starts else None,
            waiting_for_slot=self.slots.waiting()[job.present_runtime],
            slot_seconds=self.slots.seconds(job.present_runtime),
            measured_first=self.slots.ahead(job, self.runtimes) if starts and child is None else 0,
            namespace_labels=self.namespaces.labels(job.namespace),
        )

    def _places(self, job: JobRecord) -> tuple[str, ...]:
        return job.places(found.claims if (found := self.runtimes.get(job.present_runtime)) is not None else {})

    def running_pod(self, uid: str) -> PodRecord | None:
        """The running pod of a job that goes on, which can be asked for its progress."""
        observed = self.observe(uid)
        pods = () if observed is None or observed.job.ended else observed.pods
        return next((pod for pod in pods if pod.running and pod.ip and not pod.deleting), None)

    def put(self, resource: Resource, raw: Raw, *, own_write: bool = False) -> None:
        """Remember an object as it is now; what the operator wrote itself needs no second look."""
        metadata = raw["metadata"]
        # A worker that an ended job has left behind may still write.
        is_left = resource in (JOBS, PODS) and self._is_over(job_uid(metadata))
        if self.knows(resource, metadata) and not is_left:  # an own write's echo, most often: not worth trimming
            return
        told = _nobody if own_write else self._changed
        if resource is COMPRESSION_JOBS:
            self._put_job(JobRecord.of(raw), told)
        elif resource is RUNTIMES:
            self._put_runtime(RuntimeRecord.of(raw))
        elif resource is REVIEWS:
            self._tell_about(self.reviews.put(ReviewRecord.of(raw)))
        elif resource is NAMESPACES:
            self._put_namespace(raw)
        else:
            self._put_worker(ChildRecord.of(raw) if resource is JOBS else PodRecord.of(raw), told)

    def wrote_status(self, job: JobRecord, metadata: Raw, status: Raw) -> None:
        """Remember a job with the status that the operator wrote, in the version that this made."""
        self._put_job(job.rewritten(metadata, status), _nobody)

    def drop(self, resource: Resource, metadata: Raw) -> None:
        """Forget an object that is gone."""
        uid = metadata["uid"]
        if resource is COMPRESSION_JOBS:
            self._drop_job(uid)
        elif resource is RUNTIMES:
            self.runtimes.drop(metadata["name"], uid)
        elif resource is REVIEWS:
            self._tell_about(self.reviews.drop(uid))
        elif resource is NAMESPACES:
            self.namespaces.drop(metadata["name"], uid)
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
        """Remember exactly this child and these pods of a job, as they were read just now."""
        workers = self._workers.setdefault(uid, Workers())
        for gone in workers.replace(child, pods):
            self._forget_worker(gone)
        for worker in workers.all():
            self._note(worker)

    def put_progress(self, uid: str, progress: Progress, forecast: Forecast | None = None) -> bool:
        """Remember what a pod told about its progress, and when it expects to be done; says whether it got on."""
        workers = self._workers.get(uid)
        if workers is None:
            return False
        got_on, is_news = workers.take(progress, forecast)
        if is_news:
            self._changed(uid)
        return got_on

    def knows(self, resource: Resource, metadata: Raw) -> bool:
        """Whether the cache is at least as new as this object, of which only the metadata is given."""
        if resource in (JOBS, PODS) and self._is_over(job_uid(metadata)):
            return True
        record = self._record(resource, metadata)
        return record is not None and record.version >= int(metadata["resourceVersion"])

    def versions(self, resource: Resource) -> dict[str, tuple[int, Raw]]:
        """What is remembered of a kind: version and enough metadata for ``drop``, by uid."""
        if resource is COMPRESSION_JOBS:
            return {job.uid: (job.version, {"uid": job.uid}) for job in self._jobs}
        if resource is RUNTIMES:
            return self.runtimes.versions()
        if resource is REVIEWS:
            return self.reviews.versions()
        if resource is NAMESPACES:
            return self.namespaces.versions()
        return self.writers.versions("Job" if resource is JOBS else "Pod") | {
            uid: (record.version, {"uid": uid, "namespace": record.namespace, "labels": {JOB_UID_LABEL: owner}})
            for owner, workers in self._workers.items()
            for uid, record in workers.of(resource).items()
        }

    def _record(self, resource: Resource, metadata: Raw) -> Record | None:
        if resource is COMPRESSION_JOBS:
            return self._jobs.get(metadata["uid"])
        if resource is RUNTIMES:
            return self.runtimes.get(metadata["name"])
        if resource is REVIEWS:
            return self.reviews.get(metadata["uid"])
        if resource is NAMESPACES:
            return self.namespaces.get(metadata["name"])
        return self._workers.get(job_uid(metadata), _NONE).of(resource).get(metadata["uid"])

    def _put_job(self, job: JobRecord, told: Callable[[str], None]) -> None:
        known = self._jobs.get(job.uid)
        if not self._jobs.put(job):
            return
        if known is not None and known.part != job.part and job.uid in self._workers:
            self._workers[job.uid].progress = None  # it was the last part's
        self.runtimes.put_job(job, known)
        for child in self._workers.get(job.uid, _NONE).children.values():
            self.writers.note(child, job)  # one that its user holds writes no more
        if job.ended:
            self._workers.pop(job.uid, None)
            self.writers.forget_job(job.uid)
        self.reviews.look(job.namespace, job.name)
        told(job.uid)

    def _drop_job(self, uid: str) -> None:
        known = self._jobs.drop(uid)
        if known is None:
            return
        self.runtimes.discard_job(known)
        self._workers.pop(uid, None)
        self.writers.forget_job(uid)
        self.writers.release(known)
        self._changed(uid)

    def _note(self, worker: Worker) -> None:
        """Remember where a worker writes, and what it waits for: of jobs that have ended or are gone, too."""
        self.writers.note(worker, self._jobs.get(worker.job_uid))
        if isinstance(worker, PodRecord):
            self.slots.note(worker)

    def _forget_worker(self, uid: str) -> None:
        self.writers.drop(uid)
        self.slots.drop(uid)

    def _put_worker(self, worker: Worker, told: Callable[[str], None]) -> None:
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
            told(worker.job_uid)

    def _put_runtime(self, runtime: RuntimeRecord) -> None:
        # Only jobs without a child for their present part look at their runtime.
        for uid in self.runtimes.put(runtime):
            job = self._jobs.get(uid)
            if job and not job.ended and not self._workers.get(uid, _NONE).has_child_for(job.part):
                self._changed(uid)

    def _put_namespace(self, raw: Raw) -> None:
        name = self.namespaces.put(raw)
        waiting = (it for it in self._jobs if it.namespace == name and it.reason == RUNTIME_NOT_ALLOWED)
        for uid in [it.uid for it in waiting] if name else ():
            self._changed(uid)

    def _tell_about(self, review: ReviewRecord | None) -> None:
        job = self._jobs.named(review.namespace, review.job) if review is not None else None
        if job is not None and not job.ended:
            self._changed(job.uid)

    def _is_over(self, uid: str) -> bool:
        return (job := self._jobs.get(uid)) is not None and job.ended


_NONE: Final = Workers()


def _nobody(_: str) -> None:
    """Nobody needs to be told."""
