"""Measuring slots: the pods that wait for one, and the jobs that are held back meanwhile.

A pod that measures alone on a node needs a node that no other pod of a CompressionJob uses. So no other job begins
there while one waits and the end of a running pod can free a node. If no pod runs, holding jobs back does not help.
A pod with a GPU or with CPUs of its own waits for no other job to begin: the scheduler counts what is free.
"""

from collections import Counter, deque
from collections.abc import Callable
from statistics import median
from typing import Final

from compression_operator.cache.runtimes import Runtimes
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import parse_time
from compressionjob.job_parts import COMPRESS, RUN
from compressionjob.measuring import NODE

_PLACED: Final = "placed"
_REMEMBERED: Final = 20
"""Number of ended pods of a runtime whose slot times are kept, to estimate the next ones."""
_STARTING: Final = ("", "ContainerCreating", "PodInitializing")
"""The kubelet's reasons for a container that is about to start."""

State = tuple[str, str]
"""The slot that a pod waits for (Node, StaticCPUs, GPU) or "placed" if it has a node, and its runtime."""


class MeasuringSlots:
    """The pods that wait for a measuring slot or have a node, and the jobs that are held back for them."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._states: dict[str, State] = {}
        self._counts: Counter[State] = Counter()
        self._held: dict[str, tuple[str, str]] = {}
        self._seconds: dict[str, deque[float]] = {}

    def seconds(self, runtime: str) -> float | None:
        """Return the median seconds for which the last pods of a runtime held their slot; None if none has ended."""
        times = self._seconds.get(runtime)
        return median(times) if times else None

    def waiting(self) -> Counter[str]:
        """Return the number of jobs that wait for a measuring slot, by runtime."""
        waiting: Counter[str] = Counter()
        for (kind, runtime), count in self._counts.items():
            if kind != _PLACED:
                waiting[runtime] += count
        return waiting

    def ahead(self, job: JobRecord, runtimes: Runtimes) -> int:
        """Return the number of jobs that are measured before this one begins; the job is reconciled when it changes."""
        self._held.pop(job.uid, None)
        runtime, measuring = runtimes.get(job.runtime), runtimes.get(job.measuring_runtime)
        begins = not job.suspend and job.part in (RUN, COMPRESS)
        if not begins or runtime is None or measuring is None:
            return 0
        if NODE not in (runtime.measuring.isolation, measuring.measuring.isolation):
            return 0
        counts: Counter[str] = Counter()
        for (kind, name), count in self._counts.items():
            other = runtimes.get(name)
            if other is not None and runtime.shares_nodes(other):
                counts[kind] += count
        if not counts[NODE] or not counts[_PLACED]:
            return 0
        self._held[job.uid] = (job.created, job.name)
        return counts[NODE]

    def note(self, pod: PodRecord) -> None:
        """Store the present state of a pod."""
        if self._states.get(pod.uid, ("",))[0] == _PLACED and (had := _time_in_slot(pod)) > 0:
            self._seconds.setdefault(pod.runtime, deque(maxlen=_REMEMBERED)).append(had)
        self._put(pod.uid, _state(pod))

    def drop(self, uid: str) -> None:
        """Forget a pod that is gone."""
        self._put(uid, None)

    def _put(self, uid: str, state: State | None) -> None:
        before = self._states.pop(uid, None)
        if state is not None:
            self._states[uid] = state
            self._counts[state] += 1
        if before is not None:
            self._counts[before] -= 1
            if not self._counts[before]:
                del self._counts[before]
                if before[0] in (NODE, _PLACED):
                    self._release()

    def _release(self) -> None:
        """Reconcile the jobs that are held back, the oldest first."""
        held, self._held = self._held, {}
        for uid in sorted(held, key=held.__getitem__):
            self._changed(uid)


def _time_in_slot(pod: PodRecord) -> float:
    """Return how many seconds a pod held its slot; 0 if it has not ended, or if its end was lost with the node."""
    if not pod.slot or not pod.placed or pod.terminated is None or not pod.terminated.finished:
        return 0.0
    return (parse_time(pod.terminated.finished) - parse_time(pod.placed)).total_seconds()


def _state(pod: PodRecord) -> State | None:
    if pod.waits_for_slot:
        return pod.slot, pod.runtime
    return (_PLACED, pod.runtime) if pod.scheduled and not pod.over and not _cannot_start(pod) else None


def _cannot_start(pod: PodRecord) -> bool:
    """Return whether the container cannot start: its image or a Secret is missing, and the kubelet keeps retrying."""
    return pod.waiting is not None and pod.waiting.reason not in _STARTING
