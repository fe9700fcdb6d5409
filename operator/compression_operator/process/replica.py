"""One replica of the operator: watches, leader election, control loop, HTTP server, start and shutdown."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cache.resync import Resync
from compression_operator.cluster.client import Client
from compression_operator.cluster.credentials import Credentials
from compression_operator.cluster.errors import ApiError
from compression_operator.loop.admission import Admission
from compression_operator.loop.controller import Controller
from compression_operator.loop.network_policies import NetworkPolicies
from compression_operator.loop.progress_polls import ProgressPolls
from compression_operator.loop.review_notices import SETTLE, ReviewNotices
from compression_operator.loop.store_endpoints import StoreEndpoints
from compression_operator.network.policies import policy_names, runner_policies
from compression_operator.network.settings import NetworkSettings
from compression_operator.notifications.notifier import Notifier
from compression_operator.notifications.receivers import Receivers
from compression_operator.process import watching, web
from compression_operator.process.comparing import keep_comparing
from compression_operator.process.leader import LeaderElection
from compression_operator.process.metrics_access import MetricsAccess
from compression_operator.process.options import Options
from compression_operator.process.relists import Relists
from compression_operator.process.serving_certificate import ServingCertificate
from compression_operator.process.tasks import TaskEnded, end, run_together
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.event_recorder import EventRecorder
from compression_operator.telemetry.fleet import FleetSeries
from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import JobSeries, JobTally, Metrics, PendingNotifications
from compressionjob.group import GROUP, JOB_PLURAL, REVIEW_PLURAL, RUNTIME_PLURAL, STORE_PLURAL, VERSION

STARTUP_RETRY: Final = 5.0
"""Seconds between two attempts of a step that must succeed before the operator can start."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedFiles:
    """The content of the files that the options name."""

    receivers: Receivers
    network: NetworkSettings | None
    certificate: ServingCertificate | None


class Replica:
    """The components of one operator process."""

    def __init__(
        self, options: Options, settings: LoadedFiles, credentials: Credentials, client: Client, metrics: Metrics
    ) -> None:
        self._options = options
        self._certificate = settings.certificate
        self._metrics = metrics
        self._client = client
        self._series = JobSeries(options.max_job_series)
        self._queue = WorkQueue()
        self._admission = Admission(self._queue.add)
        self._cache = Cache(self._changed, self._admission.release, children_protected=options.children_protected)
        self._reviewed = WorkQueue()
        self._cache.reviews.changed = self._review_changed
        self._resync = Resync(client, self._cache, options.namespaces)
        self._recorder = EventRecorder(client, metrics, options.identity, busy=lambda: len(self._queue) > 0)
        self._review_notices = ReviewNotices(self._cache, self._recorder, self._reviewed)
        self._polls = ProgressPolls(self._cache, metrics, options.progress_interval)
        self._notifier = Notifier(settings.receivers, self._cache, self._queue, metrics)
        self._network = self._network_policies(settings.network)
        self._controller = Controller(
            cache=self._cache,
            client=client,
            queue=self._queue,
            recorder=self._recorder,
            metrics=metrics,
            job_metrics=JobMetrics(metrics, self._series),
            notifier=self._notifier,
            admission=self._admission,
            follow=self._polls.follow,
            requirements=options.requirements,
            isolate=self._isolate,
        )
        self._relists = Relists()
        watched = watching.WATCHED if options.namespaces else watching.WATCHED_CLUSTER_WIDE
        self._handlers = watching.registry(self._cache, self._notice, credentials, metrics, self._relists, watched)
        self._leading = False
        self._caught_up = asyncio.Event()
        self._ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; raise the error of a task that ended."""
        self._metrics.queue_depth.set_function(lambda: len(self._queue))
        self._metrics.queue_age.set_function(lambda: self._queue.age)
        self._metrics.registry.register(JobTally(self._cache.tally))
        self._metrics.registry.register(self._series)
        limit = self._options.max_job_series
        self._metrics.registry.register(FleetSeries(self._cache, lambda: self._polls.last_progress, limit=limit))
        self._metrics.registry.register(PendingNotifications(self._notifier.pending))
        async with self._serving():
            if not await _first(self._kinds_are_served(), stop):
                return
            # In the order of shutdown: the lease is released while the API server can still be reached.
            tasks = {
                "waiting for a signal": self._until(stop),
                "leader election": self._stand_for_election(),
                "cache resync": self._keep_in_step(),
                "watching": watching.keep_watching(lambda: self._watch(stop), self._metrics),
            }
            if self._certificate is not None:
                tasks["metrics certificate"] = self._certificate.keep_fresh()
            try:
                await run_together(tasks)
            except TaskEnded:
                if not stop.is_set():
                    raise

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        """Serve the kubelet's probes and Prometheus."""
        options, certificate = self._options, self._certificate
        identity = {"identity": options.identity}
        probes, registry = web.health_routes(lambda: self._ready), self._metrics.registry
        async with AsyncExitStack() as stack:
            if certificate is None:
                port = await stack.enter_async_context(
                    web.serve(options.port, [*probes, *web.metrics_routes(registry)])
                )
                logger.info("serving /metrics, /healthz and /readyz on port %d", port, extra=identity)
            else:
                metrics = web.metrics_routes(registry, MetricsAccess(self._client).check)
                secure = web.serve(options.metrics_port, metrics, certificate.context)
                logger.info("/metrics is on port %d, over HTTPS", await stack.enter_async_context(secure))
                port = await stack.enter_async_context(web.serve(options.port, probes))
                logger.info("serving /healthz and /readyz on port %d", port, extra=identity)
            yield

    def _network_policies(self, network: NetworkSettings | None) -> NetworkPolicies | None:
        if network is None:
            return None
        endpoints = StoreEndpoints(self._cache)
        return NetworkPolicies(
            self._client,
            self._cache,
            policy_names(network),
            lambda namespace: runner_policies(network, namespace, endpoints.now(namespace), endpoints.begun(namespace)),
            self._options.namespaces,
        )

    async def _isolate(self, namespace: str) -> None:
        if self._network is not None:
            await self._network.ensure(namespace)

    async def _until(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._ready = False

    async def _watch(self, stop: asyncio.Event) -> None:
        await self._kinds_are_served()
        # kopf installs signal handlers when it starts, and would end before the lease is released: replace them.
        await watching.watch(self._handlers, self._options.namespaces, lambda: _handle_signals(stop))

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
            # Later changes lead to Conflict or AlreadyExists, and are read again.
            await self._caught_up.wait()
            await self._catch_up()  # a Job of the last leader that no watch has reported yet may write, too
            self._leading = True
            self._metrics.leader.set(1)
            self._cache.reviews.recheck_all()
            tasks = {
                "controller": self._controller.run(self._options.workers),
                "event recorder": self._recorder.run(),
                "review notices": self._review_notices.run(),
                "progress polls": self._polls.run(),
                "notifier": self._notifier.run(),
            }
            if self._network is not None:
                tasks["network policies"] = self._network.run()
            await run_together(tasks)
        finally:
            self._leading = False
            self._queue.clear()
            self._reviewed.clear()
            self._metrics.leader.set(0)
            self._series.clear()

    async def _keep_in_step(self) -> None:
        await self._catch_up()
        self._caught_up.set()
        self._ready = True
        await keep_comparing(self._resync, self._metrics, self._relists.again, lambda: self._leading)

    async def _catch_up(self) -> None:
        while True:
            try:
                return await self._resync.catch_up()
            except ApiError as error:
                logger.warning("cannot list the watched objects: %s", error)
                await asyncio.sleep(max(STARTUP_RETRY, error.retry_after))

    async def _kinds_are_served(self) -> None:
        """Wait until the CRDs are served: kopf checks only at its start which kinds exist."""
        while True:
            try:
                missing = {JOB_PLURAL, RUNTIME_PLURAL, REVIEW_PLURAL, STORE_PLURAL} - await self._client.kinds(
                    GROUP, VERSION
                )
                if not missing:
                    return
                logger.warning("the API server does not know %s; install the CRDs", ", ".join(sorted(missing)))
            except ApiError as error:
                logger.warning("cannot read the kinds of the API server: %s", error)
            await asyncio.sleep(STARTUP_RETRY)

    def _changed(self, uid: str) -> None:
        """Queue a job if this replica leads; a new leader begins with all jobs."""
        if self._leading:
            self._queue.add(uid)

    def _review_changed(self, key: str) -> None:
        if self._leading:
            self._reviewed.add(key, SETTLE)

    def _notice(self, uid: str) -> None:
        if self._leading:
            self._controller.noticed(uid)


async def run(options: Options, settings: LoadedFiles) -> None:
    """Run a replica until SIGTERM or SIGINT; raise any error that ends it."""
    stop = asyncio.Event()
    _handle_signals(stop)
    credentials, metrics = Credentials(), Metrics()
    async with Client(credentials, metrics.count_request) as client:
        await Replica(options, settings, credentials, client, metrics).run(stop)


async def _first(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Run ``work`` until it is done or ``stop`` is set; return whether it was done."""
    tasks = [asyncio.create_task(work), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await end(tasks)
    return not stop.is_set()


def _handle_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
