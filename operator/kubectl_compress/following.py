"""Jobs as they change: a list, then a watch, and both again whenever the connection is lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from kubectl_compress.cluster import Cluster, Selection
from kubectl_compress.errors import NotFound, TimedOut, Unreachable
from kubectl_compress.job import Job

LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries to reach the API server, at most."""

_FIRST_PAUSE: Final = 0.5
_GONE: Final = 410  # the version to go on from is too old


@dataclass(frozen=True)
class Change:
    """A job as it is now, or was when it was deleted: ``gone``."""

    job: Job
    gone: bool = False


class Follower:
    """Follows a selection of jobs. ``trouble`` is told when the connection is lost, and "" when it is back."""

    def __init__(
        self,
        cluster: Cluster,
        selection: Selection,
        *,
        timeout: float | None = None,
        trouble: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._cluster = cluster
        self._selection = selection
        self._trouble = trouble
        self._end = None if timeout is None else time.monotonic() + timeout
        self._known: dict[str, Job] = {}
        self._version = ""

    def changes(self) -> Iterator[list[Change]]:
        """Every change from now on, beginning with all jobs that are there; of many jobs only what a table shows.

        Raises NotFound when the one job that is wanted is not there, TimedOut, and what the cluster refuses for good.
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
                    self._trouble("")
                    yield listed
                for change in self._watch():
                    yield [change]
            except Unreachable as error:
                self._trouble(error.problem)
                self._version = ""
                left = self._left()
                time.sleep(pause if left is None else min(pause, left))
                pause = min(LONGEST_PAUSE, 2 * pause)

    def _list(self) -> list[Change]:
        self._left()
        found: dict[str, Job] = {}
        version = ""
        for page in self._cluster.pages(self._selection):
            version = page.version
            found |= {job.uid: self._kept(job) for job in page.jobs}
        before, self._known, self._version = self._known, found, version
        gone = [Change(before[uid], gone=True) for uid in before.keys() - found.keys()]
        return gone + [
            Change(job) for uid, job in found.items() if uid not in before or before[uid].version != job.version
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
            raise TimedOut("--timeout is over", f"the job goes on; see how far it is: kubectl compress status{place}")
        return left
