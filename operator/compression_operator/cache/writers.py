"""Which pods may write where: one writer at a destination at a time, whatever became of the jobs that they work for.

Jobs that have ended or are gone leave pods behind for a while, and these write on. So this is kept apart from what is
known of jobs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.labels import label_values
from compression_operator.records.places import CLEANING, around
from compression_operator.records.pod import PodRecord
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
    places: tuple[str, ...]


class Writers:
    """All writers, by where they write, and the jobs that wait for one of them.

    ``places`` returns where a CompressionJob writes. Jobs and pods of an older operator have no annotation that says
    so: they block the CompressionJob of their job's name, its successor.
    """

    def __init__(self, changed: Callable[[str], None], places: Callable[[JobRecord], tuple[str, ...]]) -> None:
        self._changed = changed
        self._places_of = places
        self._writers: dict[str, Writer] = {}
        self._by_job: dict[str, set[str]] = {}
        self._at: dict[str, set[str]] = {}
        self._below: dict[str, set[str]] = {}
        self._blockers: dict[str, str] = {}
        self._waiting: dict[str, dict[str, JobRecord]] = {}

    def blocker(self, job: JobRecord) -> Writer | None:
        """Return what must end before a Job of this one may start, and remember that it waits."""
        own = (self._writers[uid] for uid in self._by_job.get(job.uid, ()))
        found = next((writer for writer in own if writer.kind == "Pod"), None) or next(self._others(job), None)
        self.forget_job(job.uid)
        if found is not None:
            self._blockers[job.uid] = found.uid
            self._waiting.setdefault(found.uid, {})[job.uid] = job
        return found

    def note(self, worker: ChildRecord | PodRecord, job: JobRecord | None) -> None:
        """Remember a Job or a pod as it is now; ``job`` is its CompressionJob, where it is known."""
        places = worker.places or (self._places_of(job) if job is not None else ())
        if isinstance(worker, PodRecord):
            writer = _of_pod(worker, places)
        else:
            writer = _of_child(worker, places, held=job is not None and job.rests and not job.ended)
        if writer is None:
            self.drop(worker.uid)
        else:
            self._put(writer)

    def reserve(self, job: JobRecord) -> None:
        """Let no other job start where this one writes, until ``release``: its own Job is about to."""
        self._put(_of_job(job, self._places_of(job)))

    def release(self, job: JobRecord) -> None:
        """End the reservation of a job, if it has one: its Job is known by now, or there is none."""
        self.drop(f"{job.uid}/reserved")

    def drop(self, uid: str) -> None:
        """Forget a writer, and let the jobs look again that waited for it, the oldest first."""
        if self._remove(uid) is not None:
            waiting = self._waiting.get(uid, {}).values()
            for job in sorted(waiting, key=lambda job: (job.created, job.name)):
                self._changed(job.uid)

    def versions(self, kind: str) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Version and metadata of all Jobs, or of all pods, by uid."""
        return {
            it.uid: (it.version, {"uid": it.uid, "namespace": it.namespace, "labels": {JOB_UID_LABEL: it.job_uid}})
            for it in self._writers.values()
            if it.kind == kind
        }

    def namespaces(self) -> set[str]:
        """Return the namespaces in which there are writers."""
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
        for place in _places(writer):
            self._at.setdefault(place, set()).add(writer.uid)
            for outer in around(place):
                self._below.setdefault(outer, set()).add(writer.uid)

    def _others(self, job: JobRecord) -> Iterator[Writer]:
        uids: set[str] = set()
        named = (_name(job.namespace, value) for value in label_values(job.name))
        for place in (*self._places_of(job), f"{CLEANING}{job.checkpoints}", *named):
            uids |= self._at.get(place, set()) | self._below.get(place, set())
            for outer in around(place):
                uids |= self._at.get(outer, set())
        found = (self._writers[uid] for uid in sorted(uids))
        return (writer for writer in found if writer.job_uid != job.uid)

    def _remove(self, uid: str) -> Writer | None:
        writer = self._writers.pop(uid, None)
        if writer is not None:
            _discard(self._by_job, (writer.job_uid,), uid)
            _discard(self._at, _places(writer), uid)
            _discard(self._below, (outer for place in _places(writer) for outer in around(place)), uid)
        return writer


def _of_pod(pod: PodRecord, places: tuple[str, ...]) -> Writer | None:
    """The writer that a pod is, None when it has ended."""
    if pod.over:
        return None
    return Writer(pod.uid, "Pod", pod.name, pod.version, pod.job_uid, pod.namespace, pod.job, places)


def _of_child(child: ChildRecord, places: tuple[str, ...], *, held: bool) -> Writer | None:
    """The writer that a Job is: it may start a pod, unless it has ended or is suspended, and by no queue's will."""
    rests = child.suspended and child.active == 0 and (held or not child.queue)
    if child.ended or rests:
        return None
    return Writer(child.uid, "Job", child.name, child.version, child.job_uid, child.namespace, child.job, places)


def _of_job(job: JobRecord, places: tuple[str, ...]) -> Writer:
    """The writer that a job becomes while its Job is being created."""
    return Writer(f"{job.uid}/reserved", "Reservation", job.name, 0, job.uid, job.namespace, job.name, places)


def _places(writer: Writer) -> tuple[str, ...]:
    return writer.places or (_name(writer.namespace, writer.job),)


def _name(namespace: str, job: str) -> str:
    return f"job:{namespace}:{job}"


def _discard(index: dict[str, set[str]], keys: Iterable[str], uid: str) -> None:
    for key in keys:
        members = index.get(key)
        if members is not None:
            members.discard(uid)
            if not members:
                del index[key]
