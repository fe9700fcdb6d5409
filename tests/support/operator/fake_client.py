"""An in-memory API server that accepts or refuses requests as a test configures it, and counts them."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from compression_operator.cache.cache import Cache
from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import Refused, refusal
from compression_operator.cluster.resources import Resource
from compression_operator.loop.admission import Admission
from compression_operator.loop.controller import Controller
from compression_operator.notifications.notifier import Notifier
from compression_operator.notifications.receivers import Receivers
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.event_recorder import EventRecorder
from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import JobSeries, Metrics

Rule = Callable[[Mapping[str, Any]], Refused | None]
"""Why an object is refused, or None where it is taken."""


def refused(code: int, message: str) -> Refused:
    """The error for an answer of the API server."""
    return refusal(code, {"message": message}, request="test", retry_after="")


class FakeClient(Client):
    """Takes new Jobs and changes of statuses, unless a rule refuses them."""

    def __init__(self, *, jobs: Rule = lambda _: None, statuses: Rule = lambda _: None) -> None:
        self._jobs = jobs
        self._statuses = statuses
        self._versions = itertools.count(1000)
        self.created: list[str] = []
        """Names of the Jobs that were offered, taken or not."""
        self.offered: list[dict[str, Any]] = []
        """Statuses that were offered, taken or not."""
        self.stored: dict[str, dict[str, Any]] = {}
        """Statuses that were taken, by the name of the CompressionJob."""

    async def create(self, resource: Resource, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Accept a Job, or raise the error of the rule."""
        self.created.append(manifest["metadata"]["name"])
        error = self._jobs(manifest)
        if error is not None:
            raise error
        return {**manifest["metadata"], "uid": f"uid-{manifest['metadata']['name']}", **self._version()}

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Accept the status after a merge patch, or raise the error of the rule."""
        status = merged(self.stored.get(name, {}), patch["status"])
        self.offered.append(status)
        error = self._statuses(status)
        if error is not None:
            raise error
        self.stored[name] = status
        return self._version()

    def _version(self) -> dict[str, str]:
        return {"resourceVersion": str(next(self._versions))}


async def unchecked(_: str) -> None:
    """Let a namespace be as it is."""


def controller(
    client: Client,
    cache: Cache,
    queue: WorkQueue,
    admission: Admission,
    now: Callable[[], datetime],
    metrics: Metrics | None = None,
    isolate: Callable[[str], Awaitable[None]] = unchecked,
) -> Controller:
    """A controller that asks this client, records Events that are never sent, and has no receivers."""
    metrics = metrics or Metrics()
    return Controller(
        cache=cache,
        client=client,
        queue=queue,
        recorder=EventRecorder(client, metrics, "test", busy=lambda: False),
        metrics=metrics,
        job_metrics=JobMetrics(metrics, JobSeries()),
        notifier=Notifier(Receivers(), cache, queue, metrics),
        admission=admission,
        follow=lambda _: None,
        isolate=isolate,
        now=now,
    )


def merged(before: Any, patch: Any) -> Any:
    """The value that an RFC 7396 merge patch makes."""
    if not isinstance(patch, Mapping):
        return patch
    kept = dict(before) if isinstance(before, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept
