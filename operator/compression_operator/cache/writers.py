"""The pods that may write to each location: only one writer at a destination at a time.

Jobs that have ended or are gone leave pods behind for a while, and these still write. So the writers are kept apart
from the records of jobs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.labels import label_values
from compression_operator.records.pod import PodRecord
from compression_operator.records.write_locations import CLEANING, parents
from compressionjob.group import JOB_UID_LABEL


@dataclass(frozen=True, slots=True)
class Writer:
    """A pod that may write, a Job that may start one, or a job whose Job is being created (``kind`` Reservation)."""

    uid: str
    kind: str
    name: str
    version: int
    job_uid: str
    namespace: str
    job: str
    locations: tuple[str, ...]


class Writers:
    """All writers by location, and the jobs that wait for one of them.

    ``write_locations`` returns the locations of a CompressionJob. Jobs and pods of an older operator have no annotation
    with locations: they block the CompressionJob of the same name, their successor.
    """

    def __init__(self, changed: Callable[[str], None], write_locations: Callable[[JobRecord], tuple[str, ...]]) -> None:
        self._changed = changed
        self._write_locations_of = write_locations
        self._writers: dict[str, Writer] = {}
        self._by_job: dict[str, set[str]] = {}
        self._at: dict[str, set[str]] = {}
        self._below: dict[str, set[str]] = {}
        self._blockers: dict[str, str] = {}
        self._waiting: dict[str, dict[str, JobRecord]] = {}

    def blocker(self, job: JobRecord) -> Writer | None:
        """Return the writer that must end before a Job of this one may start, and record that the job waits for it."""
        own = (self._writers[uid] for uid in self._by_job.get(job.uid, ()))
        blocker = next((writer for writer in own if writer.kind == "Pod"), None) or next(self._others(job), None)
        self.forget_job(job.uid)
        if blocker is not None:
            self._blockers[job.uid] = blocker.uid
            self._waiting.setdefault(blocker.uid, {})[job.uid] = job
        return blocker

    def note(self, worker: ChildRecord | PodRecord, job: JobRecord | None) -> None:
        """Store the present state of a Job or a pod; ``job`` is its CompressionJob, if it is known."""
        locations = worker.write_locations or (self._write_locations_of(job) if job is not None else ())
        if isinstance(worker, PodRecord):
            writer = _of_pod(worker, locations)
        else:
            writer = _of_child(worker, locations, held=job is not None and job.rests and not job.ended)
        if writer is None:
            self.drop(worker.uid)
        else:
            self._put(writer)

    def reserve(self, job: JobRecord) -> None:
        """Keep other jobs from starting where this one writes, until ``release``: its own Job is about to start."""
        self._put(_of_job(job, self._write_locations_of(job)))

    def release(self, job: JobRecord) -> None:
        """End the reservation of a job, if it has one: its Job is in the cache by now, or there is none."""
        self.drop(f"{job.uid}/reserved")

    def drop(self, uid: str) -> None:
        """Forget a writer, and reconcile the jobs that waited for it, the oldest first."""
        if self._remove(uid) is not None:
            waiting = self._waiting.get(uid, {}).values()
            for job in sorted(waiting, key=lambda job: (job.created, job.name)):
                self._changed(job.uid)

    def versions(self, kind: str) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return version and metadata of all Jobs, or of all pods, by uid."""
        return {
            it.uid: (it.version, {"uid": it.uid, "namespace": it.namespace, "labels": {JOB_UID_LABEL: it.job_uid}})
            for it in self._writers.values()
            if it.kind == kind
        }

    def namespaces(self) -> set[str]:
        """Return the namespaces that have writers."""
        return {writer.namespace for writer in self._writers.values()}

    def forget_job(self, uid: str) -> None:
        """Forget that a job waits: it is gone or has ended."""
        blocker = self._blockers.pop(uid, None)
        if blocker is not None:
            del self._waiting[blocker][uid]
            if not self._waiting[blocker]:
                del self._waiting[blocker]

    def _put(self, writer: Writer) -> None:
        self._remove(writer.uid)
        self._writers[writer.uid] = writer
        self._by_job.setdefault(writer.job_uid, set()).add(writer.uid)
        for location in _locations(writer):
            self._at.setdefault(location, set()).add(writer.uid)
            for parent in parents(location):
                self._below.setdefault(parent, set()).add(writer.uid)

    def _others(self, job: JobRecord) -> Iterator[Writer]:
        uids: set[str] = set()
        named = (_name(job.namespace, value) for value in label_values(job.name))
        for location in (*self._write_locations_of(job), f"{CLEANING}{job.checkpoints}", *named):
            uids |= self._at.get(location, set()) | self._below.get(location, set())
            for parent in parents(location):
                uids |= self._at.get(parent, set())
        writers = (self._writers[uid] for uid in sorted(uids))
        return (writer for writer in writers if writer.job_uid != job.uid)

    def _remove(self, uid: str) -> Writer | None:
        writer = self._writers.pop(uid, None)
        if writer is not None:
            _discard(self._by_job, (writer.job_uid,), uid)
            _discard(self._at, _locations(writer), uid)
            _discard(self._below, (parent for location in _locations(writer) for parent in parents(location)), uid)
        return writer


def _of_pod(pod: PodRecord, locations: tuple[str, ...]) -> Writer | None:
    """Return the writer for a pod; None if the pod has ended."""
    if pod.over:
        return None
    return Writer(pod.uid, "Pod", pod.name, pod.version, pod.job_uid, pod.namespace, pod.job, locations)


def _of_child(child: ChildRecord, locations: tuple[str, ...], *, held: bool) -> Writer | None:
    """Return the writer for a Job that may start a pod; None if it has ended, or is suspended and not by a queue."""
    rests = child.suspended and child.active == 0 and (held or not child.queue)
    if child.ended or rests:
        return None
    return Writer(child.uid, "Job", child.name, child.version, child.job_uid, child.namespace, child.job, locations)


def _of_job(job: JobRecord, locations: tuple[str, ...]) -> Writer:
    """Return the reservation of a job while its Job is being created."""
    return Writer(f"{job.uid}/reserved", "Reservation", job.name, 0, job.uid, job.namespace, job.name, locations)


def _locations(writer: Writer) -> tuple[str, ...]:
    return writer.locations or (_name(writer.namespace, writer.job),)


def _name(namespace: str, job: str) -> str:
    return f"job:{namespace}:{job}"


def _discard(index: dict[str, set[str]], keys: Iterable[str], uid: str) -> None:
    for key in keys:
        members = index.get(key)
        if members is not None:
            members.discard(uid)
            if not members:
                del index[key]
