"""CompressionJobs by uid and by name, those that are gone, and how many there are in each state."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Final

from compression_operator.records.job import JobRecord

MAX_GONE: Final = 4096
"""How many deleted jobs are remembered as deleted."""


class Jobs:
    """Records of CompressionJobs. ``tally`` is their number by phase and reason."""

    def __init__(self) -> None:
        self.tally: Counter[tuple[str, str]] = Counter()
        self._records: dict[str, JobRecord] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def __iter__(self) -> Iterator[JobRecord]:
        return iter(self._records.values())

    def get(self, uid: str) -> JobRecord | None:
        """Return a job."""
        return self._records.get(uid)

    def named(self, namespace: str, name: str) -> JobRecord | None:
        """Return the job that has this name now."""
        return self._records.get(self._by_name.get((namespace, name), ""))

    def put(self, job: JobRecord) -> bool:
        """Remember a job as it is now; returns whether that is news."""
        known = self._records.get(job.uid)
        # The answer to our own write may come after the news of the deletion.
        if job.uid in self._gone or (known is not None and known.version >= job.version):
            return False
        if known is not None:
            self._count(known, -1)
        self._records[job.uid] = job
        self._by_name[job.namespace, job.name] = job.uid
        self._count(job, +1)
        return True

    def drop(self, uid: str) -> JobRecord | None:
        """Forget a job that is gone; returns what it was."""
        self._gone[uid] = None
        if len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)
        known = self._records.pop(uid, None)
        if known is not None:
            self._count(known, -1)
            if self._by_name.get((known.namespace, known.name)) == uid:
                del self._by_name[known.namespace, known.name]
        return known

    def _count(self, job: JobRecord, change: int) -> None:
        key = (job.phase, job.reason)
        self.tally[key] += change
        if not self.tally[key]:
            del self.tally[key]
