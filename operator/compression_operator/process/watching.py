"""Watches with kopf: a few kinds, ``on.event`` only, into the cache.

No change handlers, indexes, finalizers or annotations: kopf writes nothing to any object (measured: 537 objects a
second with ``on.create`` against 925 with ``on.event``).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cluster.client import CHUNK
from compression_operator.cluster.credentials import Credentials
from compression_operator.cluster.errors import CredentialsError
from compression_operator.cluster.resources import (
    COMPRESSION_JOBS,
    JOBS,
    NAMESPACES,
    PODS,
    REVIEWS,
    RUNTIMES,
    STORES,
    Resource,
)
from compression_operator.cluster.session import open_session, retry_when_throttled
from compression_operator.process.kopf_run import run_kopf
from compression_operator.process.lean_kopf import kopf
from compression_operator.process.relists import Relists
from compression_operator.telemetry.metrics import Metrics
from compressionjob.group import GROUP, JOB_UID_LABEL, MANAGED_BY

WATCHED: Final = (COMPRESSION_JOBS, RUNTIMES, STORES, REVIEWS, JOBS, PODS)
WATCHED_CLUSTER_WIDE: Final = (*WATCHED, NAMESPACES)
"""An operator that serves named namespaces may not read Namespace objects."""
FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 30.0
"""Maximum seconds between two starts of kopf; half of it is jitter."""
STEADY: Final = 300.0
"""Seconds of watching after which the backoff starts again."""

logger = logging.getLogger(__name__)


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: no scanning, peering or posting; chunked lists, timeouts, selectors, our own prefix."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.posting.loggers = False
    chosen.watching.chunk_size = CHUNK
    chosen.watching.connect_timeout = 5.0
    chosen.networking.connect_timeout = 5.0
    chosen.networking.request_timeout = 60.0
    chosen.networking.enforce_retry_after = True
    chosen.watching.label_selectors["batch", "v1", "jobs"] = JOB_UID_LABEL
    chosen.watching.label_selectors["", "v1", "pods"] = JOB_UID_LABEL
    # kopf would kill the process this long after its cancellation, even if it was only restarted.
    chosen.process.ultimate_exiting_timeout = None
    # Each object with events has a task of its own, which holds the raw object until it ends.
    chosen.queueing.idle_timeout = 0.05
    chosen.persistence.finalizer = f"{GROUP}/unused"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    chosen.persistence.diffbase_storage = NoDiffs()
    return chosen


def registry(
    cache: Cache,
    noticed: Callable[[str], None],
    credentials: Credentials,
    metrics: Metrics,
    relists: Relists,
    watched: Iterable[Resource] = WATCHED,
) -> kopf.OperatorRegistry:
    """Return the handlers; ``noticed`` is called with the uid of every CompressionJob that appears while watching."""
    handlers = kopf.OperatorRegistry()

    def watch(resource: Resource) -> None:
        @kopf.on.event(resource.group, resource.version, resource.plural, id=resource.plural, registry=handlers)
        async def take_note(event: kopf.RawEvent, **_: Any) -> None:
            raw = event["object"]
            metrics.watch_events.labels(resource.plural).inc()
            if event["type"] == "DELETED":
                cache.drop(resource, raw["metadata"])
                return
            if event["type"] == "ADDED" and resource is COMPRESSION_JOBS:
                noticed(raw["metadata"]["uid"])
            cache.put(resource, raw)

    for resource in watched:
        watch(resource)

    @kopf.on.login(id="credentials", registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        try:
            connection = await credentials.load()
        except CredentialsError as error:
            raise kopf.LoginError(str(error)) from error
        session = open_session(
            connection, credentials, metrics.count_request, relists.answered, middlewares=(retry_when_throttled,)
        )
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=session)

    return handlers


async def watch(handlers: kopf.OperatorRegistry, namespaces: Sequence[str], started: Callable[[], None]) -> None:
    """Watch until cancelled; ``started`` is called once kopf has taken over the signal handlers.

    Raises the error that ended kopf: an ERROR event other than 410 is enough.
    """
    where: dict[str, Any] = {"namespaces": list(namespaces)} if namespaces else {"clusterwide": True}
    # By default kopf derives the identity from the user name, which a container's /etc/passwd may not contain.
    where["identity"] = MANAGED_BY
    await run_kopf(started, registry=handlers, settings=settings(), standalone=True, **where)


async def keep_watching(begin: Callable[[], Awaitable[None]], metrics: Metrics) -> None:
    """Call ``begin``, and again with backoff each time it returns, which it should not."""
    clock = asyncio.get_running_loop().time
    backoff = FIRST_BACKOFF
    while True:
        began = clock()
        try:
            await begin()
        except Exception:
            logger.exception("the watches ended")
        else:
            logger.error("the watches ended without an error")
        metrics.watch_restarts.inc()
        if clock() - began > STEADY:
            backoff = FIRST_BACKOFF
        pause = backoff * random.uniform(0.5, 1.0)
        backoff = min(LONGEST_BACKOFF, 2 * backoff)
        logger.warning("starting the watches again in %.1f s", pause)
        await asyncio.sleep(pause)


class NoDiffs(kopf.DiffBaseStorage):
    """A storage without content: kopf would deep-copy each object to compute differences, which are not used here."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[kopf.FieldSpec] | None = None) -> kopf.BodyEssence:
        """Return an empty essence."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Return None: nothing is stored."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""
