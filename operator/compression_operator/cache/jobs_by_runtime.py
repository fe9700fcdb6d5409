"""Which CompressionJobs name a CompressionRuntime."""

from collections.abc import Iterable

from compression_operator.records.job import JobRecord


class JobsByRuntime:
    """The uids of jobs, by the runtimes that they compress and measure on."""

    def __init__(self) -> None:
        self._uids: dict[str, set[str]] = {}

    def of(self, runtime: str) -> Iterable[str]:
        """The uids of the jobs that name a runtime."""
        return self._uids.get(runtime, ())

    def add(self, job: JobRecord) -> None:
        """Remember a job."""
        for runtime in (job.runtime, job.measuring_runtime):
            self._uids.setdefault(runtime, set()).add(job.uid)

    def discard(self, job: JobRecord) -> None:
        """Forget a job."""
        for runtime in {job.runtime, job.measuring_runtime}:
            self._uids[runtime].discard(job.uid)
            if not self._uids[runtime]:
                del self._uids[runtime]
