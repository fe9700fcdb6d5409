"""CompressionRuntimes, the jobs that name them, and the first part of a job on them."""

from collections.abc import Iterator

from compression_operator.cache.cluster_scoped import ClusterScoped
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.runtime import RuntimeRecord
from compressionjob.job_parts import RUN, first_part
from compressionjob.measuring import NODE, Measuring


class Runtimes(ClusterScoped[RuntimeRecord]):
    """Records of CompressionRuntimes by name, and the uids of the jobs that compress or measure on them."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, set[str]] = {}

    def put(self, runtime: RuntimeRecord) -> set[str]:
        """Store the present state of a runtime; return the uids of the jobs that this may concern."""
        if not self.store(runtime):
            return set()
        measured_here = (it.name for it in self if it.measuring.runtime == runtime.name)
        return set().union(*(self._jobs.get(name, ()) for name in (runtime.name, *measured_here)))

    def put_job(self, job: JobRecord, before: JobRecord | None) -> None:
        """Record the runtimes that a job names now: the measuring runtime may have changed."""
        if before is not None:
            self.discard_job(before)
        for runtime in _names(job):
            self._jobs.setdefault(runtime, set()).add(job.uid)

    def discard_job(self, job: JobRecord) -> None:
        """Forget a job."""
        for runtime in _names(job):
            jobs = self._jobs.get(runtime, set())
            jobs.discard(job.uid)
            if not jobs:
                self._jobs.pop(runtime, None)

    def begin(self, job: JobRecord, child: ChildRecord | None) -> JobRecord:
        """Return the job with its first part and its measuring runtime, by the present state of its runtimes.

        A job that has begun, by its status or by a child of its name, keeps its part and runtime.
        """
        if job.begun:
            return job
        if child is not None and child.part == RUN:
            return job.begin(RUN, job.measuring_runtime)
        named = job.measuring_runtime if job.names_measuring else self._measuring(job.runtime).runtime
        measuring = named or job.runtime
        apart = measuring != job.runtime or self._measuring(measuring).isolation == NODE
        return job.begin(first_part(apart=apart or child is not None), measuring)

    def _measuring(self, name: str) -> Measuring:
        record = self.get(name)
        return record.measuring if record is not None else Measuring()


def _names(job: JobRecord) -> Iterator[str]:
    yield from {job.runtime, job.measuring_runtime}
