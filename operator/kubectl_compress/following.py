"""Follow changes of jobs: a list, then a watch, and both again after the connection is lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from kubectl_compress.cluster import Cluster, Selection
from kubectl_compress.errors import NotFound, TimedOut, Unreachable
from kubectl_compress.job import Job

LONGEST_PAUSE: Final = 10.0
"""Maximum seconds between two attempts to reach the API server."""

_FIRST_PAUSE: Final = 0.5
_GONE: Final = 410  # the version of the watch is too old


@dataclass(frozen=True)
class Change:
    """The present state of a job, or the last one if it was deleted: ``gone``."""

    job: Job
    gone: bool = False


class Follower:
    """Follows a selection of jobs. ``connection_error`` gets the error of a lost connection, and "" when it is back."""

    def __init__(
        self,
        cluster: Cluster,
        selection: Selection,
        *,
        timeout: float | None = None,
        connection_error: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._cluster = cluster
        self._selection = selection
        self._connection_error = connection_error
        self._end = None if timeout is None else time.monotonic() + timeout
        self._known: dict[str, Job] = {}
        self._version = ""

    def changes(self) -> Iterator[list[Change]]:
        """Yield all changes, beginning with all existing jobs; of many jobs, only the fields of a table.

        Raises NotFound if the single selected job does not exist, TimedOut, and permanent errors of the cluster.
        """
        yield self._list()
        if self._selection.name and not self._known:
            raise NotFound(f'compressionjobs.compression-operator.io "{self._selection.name}" not found')
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._version:
                    listed = self._list()
                    pause = _FIRST_PAUSE
                    self._connection_error("")
                    yield listed
                for change in self._watch():
                    yield [change]
            except Unreachable as error:
                self._connection_error(error.problem)
                self._version = ""
                left = self._left()
                time.sleep(pause if left is None else min(pause, left))
                pause = min(LONGEST_PAUSE, 2 * pause)

    def _list(self) -> list[Change]:
        self._left()
        jobs: dict[str, Job] = {}
        version = ""
        for page in self._cluster.pages(self._selection):
            version = page.version
            jobs |= {job.uid: self._kept(job) for job in page.jobs}
        before, self._known, self._version = self._known, jobs, version
        gone = [Change(before[uid], gone=True) for uid in before.keys() - jobs.keys()]
        return gone + [
            Change(job) for uid, job in jobs.items() if uid not in before or before[uid].version != job.version
        ]

    def _kept(self, job: Job) -> Job:
        return job if self._selection.name else job.brief()

    def _watch(self) -> Iterator[Change]:
        with closing(self._cluster.watch(self._selection, self._version, self._left())) as events:
            for event in events:
                if event.kind == "ERROR":
                    self._version = ""
                    if event.object.get("code") != _GONE:
                        raise Unreachable(str(event.object.get("message", "the watch failed")))
                    return
                job = self._kept(Job(event.object))
                self._version = job.version
                if event.kind == "BOOKMARK":
                    continue
                gone = event.kind == "DELETED"
                if gone:
                    self._known.pop(job.uid, None)
                else:
                    self._known[job.uid] = job
                yield Change(job, gone=gone)

    def _left(self) -> float | None:
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            place = f" -n {self._selection.namespace}" if self._selection.namespace else " -A"
            raise TimedOut("--timeout has passed", f"the job continues; see: kubectl compress status{place}")
        return left
