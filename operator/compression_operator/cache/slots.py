"""Measuring slots: how many pods wait for one, and which jobs do not begin meanwhile.

A pod that measures alone on a node gets it only when every other pod of CompressionJobs has left it. So no other job
begins there as long as one waits and pods run whose ends make room. Where none runs, holding jobs back helps nothing.
"""

from collections import Counter, deque
from collections.abc import Callable
from statistics import median
from typing import Final

from compression_operator.cache.runtimes import Runtimes
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import parse_time
from compressionjob.measuring import NODE, STATIC_CPUS
from compressionjob.parts import COMPRESS, RUN

_PLACED: Final = "placed"
_REMEMBERED: Final = 20
"""Pods of a runtime whose time in their slot says how long the next ones take."""
_ON_THE_WAY: Final = ("", "ContainerCreating", "PodInitializing")
"""What the kubelet calls a container that is about to start."""

State = tuple[str, str]
"""What a pod waits for (Node, StaticCPUs), or that it has a node, and its runtime."""


class MeasuringSlots:
    """The pods that wait for a measuring slot or have a node, and the jobs that are held back for them."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._states: dict[str, State] = {}
        self._counts: Counter[State] = Counter()
        self._held: dict[str, tuple[str, str]] = {}
        self._seconds: dict[str, deque[float]] = {}

    def seconds(self, runtime: str) -> float | None:
        """The time that a pod of a runtime has its slot for: the median of the last ones, None where none has ended."""
        found = self._seconds.get(runtime)
        return median(found) if found else None

    def waiting(self) -> Counter[str]:
        """The number of jobs that wait for a measuring slot, by runtime."""
        waiting: Counter[str] = Counter()
        for (kind, runtime), count in self._counts.items():
            if kind != _PLACED:
                waiting[runtime] += count
        return waiting

    def ahead(self, job: JobRecord, runtimes: Runtimes) -> int:
        """The number of jobs that must be measured before this one begins; it is looked at again when that changes."""
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
        """Remember a pod as it is now."""
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
                if before[0] != STATIC_CPUS:
                    self._release()

    def _release(self) -> None:
        """Let the jobs look again that are held back, the oldest first."""
        held, self._held = self._held, {}
        for uid in sorted(held, key=held.__getitem__):
            self._changed(uid)


def _time_in_slot(pod: PodRecord) -> float:
    """The seconds that a pod had its slot for; 0 where it goes on, or the kubelet has lost its end with the node."""
    if not pod.slot or not pod.placed or pod.terminated is None or not pod.terminated.finished:
        return 0.0
    return (parse_time(pod.terminated.finished) - parse_time(pod.placed)).total_seconds()


def _state(pod: PodRecord) -> State | None:
    if pod.waits_for_slot:
        return pod.slot, pod.runtime
    return (_PLACED, pod.runtime) if pod.scheduled and not pod.over and not _cannot_start(pod) else None


def _cannot_start(pod: PodRecord) -> bool:
    """Whether the kubelet goes on trying in vain: its image or a Secret is missing, and its end is nowhere near."""
    return pod.waiting is not None and pod.waiting.reason not in _ON_THE_WAY
