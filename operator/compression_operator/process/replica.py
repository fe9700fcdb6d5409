"""One replica: watching, electing, reconciling, serving; and how it all starts and ends."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cache.resync import Resync
from compression_operator.cluster.client import Client
from compression_operator.cluster.credentials import Credentials
from compression_operator.cluster.errors import ApiError
from compression_operator.loop.controller import Controller
from compression_operator.loop.progress_polls import ProgressPolls
from compression_operator.loop.review_notices import SETTLE, ReviewNotices
from compression_operator.notifications.notifier import Notifier
from compression_operator.notifications.receivers import Receivers
from compression_operator.process import watching, web
from compression_operator.process.leader import LeaderElection
from compression_operator.process.options import Options
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.event_recorder import EventRecorder
from compression_operator.telemetry.figures import Figures
from compression_operator.telemetry.fleet import FleetSeries
from compression_operator.telemetry.metrics import JobSeries, JobTally, Metrics, PendingNotifications
from compressionjob.group import GROUP, JOB_PLURAL, REVIEW_PLURAL, RUNTIME_PLURAL, VERSION

RESYNC_INTERVAL: Final = 600.0
"""Seconds between two comparisons of the cache with the cluster."""
PATIENCE: Final = 5.0
"""Seconds between two tries of something that must work before the operator can start."""

logger = logging.getLogger(__name__)


class Replica:
    """The parts of one operator process, put together."""

    def __init__(
        self, options: Options, receivers: Receivers, credentials: Credentials, client: Client, metrics: Metrics
    ) -> None:
        self._options = options
        self._metrics = metrics
        self._client = client
        self._series = JobSeries(options.max_job_series)
        self._queue = WorkQueue()
        self._cache = Cache(self._queue.add, children_protected=options.children_protected)
        reviewed = WorkQueue()
        self._cache.reviews.looked = lambda key: reviewed.add(key, SETTLE)
        self._resync = Resync(client, self._cache, options.namespaces)
        self._recorder = EventRecorder(client, metrics, options.identity, busy=lambda: len(self._queue) > 0)
        self._review_notices = ReviewNotices(self._cache, self._recorder, reviewed)
        self._polls = ProgressPolls(self._cache, metrics, options.progress_interval)
        self._notifier = Notifier(receivers, self._cache, self._queue, metrics)
        self._controller = Controller(
            cache=self._cache,
            client=client,
            queue=self._queue,
            recorder=self._recorder,
            metrics=metrics,
            figures=Figures(metrics, self._series),
            notifier=self._notifier,
            follow=self._polls.follow,
        )
        self._handlers = watching.registry(self._cache, self._notice, credentials, metrics)
        self._leading = False
        self._caught_up = asyncio.Event()
        self._ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; raises what made a part of it end."""
        self._metrics.queue_depth.set_function(lambda: len(self._queue))
        self._metrics.queue_age.set_function(lambda: self._queue.age)
        self._metrics.registry.register(JobTally(self._cache.tally))
        self._metrics.registry.register(self._series)
        limit = self._options.max_job_series
        self._metrics.registry.register(FleetSeries(self._cache, lambda: self._polls.last_news, limit=limit))
        self._metrics.registry.register(PendingNotifications(self._notifier.pending))
        options = self._options
        async with web.serve(options.port, self._metrics.registry, lambda: self._ready) as port:
            logger.info("serving /metrics, /healthz and /readyz on port %d", port, extra={"identity": options.identity})
            if not await _first(self._kinds_are_served(), stop):
                return
            started = asyncio.Event()
            watch = watching.watch(self._handlers, watching.settings(), options.namespaces, started)
            # In the order in which they end: the lease is given back while the API server can still be reached.
            parts = [
                asyncio.create_task(_wait_for_the_end(started, stop)),
                asyncio.create_task(self._stand_for_election()),
                asyncio.create_task(self._keep_in_step()),
                asyncio.create_task(watch),
            ]
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            self._ready = False
            await _end(parts)

    async def _stand_for_election(self) -> None:
        election = LeaderElection(
            self._client,
            namespace=self._options.lease_namespace,
            name=self._options.lease_name,
            identity=self._options.identity,
        )
        await election.run(self._lead)

    async def _lead(self) -> None:
        try:
            # Whatever changed since then is met with Conflict or AlreadyExists, and read anew.
            await self._caught_up.wait()
            self._leading = True
            self._metrics.leader.set(1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._controller.run(self._options.workers))
                group.create_task(self._recorder.run())
                group.create_task(self._review_notices.run())
                group.create_task(self._polls.run())
                group.create_task(self._notifier.run())
        finally:
            self._leading = False
            self._metrics.leader.set(0)
            self._series.clear()

    async def _keep_in_step(self) -> None:
        await self._catch_up()
        self._caught_up.set()
        self._ready = True
        while True:
            await asyncio.sleep(RESYNC_INTERVAL)
            try:
                self._metrics.watch_missing.set(await self._resync.missing())
            except ApiError as error:
                logger.warning("the cache was not compared with the cluster: %s", error)

    async def _catch_up(self) -> None:
        while True:
            try:
                return await self._resync.catch_up()
            except ApiError as error:
                logger.warning("cannot list what is watched: %s", error)
                await asyncio.sleep(PATIENCE)

    async def _kinds_are_served(self) -> None:
        """kopf looks once, at its start, which kinds exist: so the CRDs must be there before."""
        while True:
            try:
                missing = {JOB_PLURAL, RUNTIME_PLURAL, REVIEW_PLURAL} - await self._client.kinds(GROUP, VERSION)
                if not missing:
                    return
                logger.warning("the API server does not know %s; install the CRDs", ", ".join(sorted(missing)))
            except ApiError as error:
                logger.warning("cannot ask the API server for its kinds: %s", error)
            await asyncio.sleep(PATIENCE)

    def _notice(self, uid: str) -> None:
        if self._leading:
            self._controller.noticed(uid)


async def run(options: Options, receivers: Receivers) -> None:
    """Run a replica until SIGTERM or SIGINT; raises what made it end otherwise."""
    stop = asyncio.Event()
    _handle_signals(stop)
    credentials, metrics = Credentials(), Metrics()
    async with Client(credentials, metrics.count_request) as client:
        await Replica(options, receivers, credentials, client, metrics).run(stop)


async def _first(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Do something, but not longer than until ``stop`` is set; says whether it was done."""
    tasks = [asyncio.create_task(work), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await _end(tasks)
    return not stop.is_set()


def _handle_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _wait_for_the_end(started: asyncio.Event, stop: asyncio.Event) -> None:
    """kopf takes the signals when it starts, and would end before the lease is given back: take them again."""
    if await _first(_until(started), stop):
        _handle_signals(stop)
    await stop.wait()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks one after the other; raises the first error that one of them ended with."""
    errors: list[BaseException] = []
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            errors.append(task.exception() or asyncio.CancelledError())
    if errors:
        raise errors[0]
