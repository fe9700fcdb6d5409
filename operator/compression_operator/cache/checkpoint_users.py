"""The unfinished jobs that use each folder of checkpoints."""

from compression_operator.records.job import JobRecord


class CheckpointUsers:
    """CompressionJobs that have not ended, by the location of their checkpoints."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, str]] = {}

    def put(self, job: JobRecord) -> None:
        """Store the present state of a job."""
        if job.ended:
            self.discard(job)
        elif job.checkpoints:
            self._users.setdefault(job.checkpoints, {})[job.uid] = f"{job.namespace}/{job.name}"

    def discard(self, job: JobRecord) -> None:
        """Forget a job that has ended or is gone."""
        users = self._users.get(job.checkpoints)
        if users is not None:
            users.pop(job.uid, None)
            if not users:
                del self._users[job.checkpoints]

    def other(self, job: JobRecord) -> str:
        """Return namespace and name of another unfinished job with the same folder; "" where there is none."""
        users = self._users.get(job.checkpoints, {})
        return next((name for uid, name in users.items() if uid != job.uid), "")
