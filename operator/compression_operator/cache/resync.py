"""Resync of the cache: wait until it has caught up with the cluster, and remove objects that are gone.

kopf does not report to handlers when its first listing is over, nor which objects vanished while a watch was broken. A
list of metadata answers both.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cluster.client import Client
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
from compressionjob.group import JOB_UID_LABEL

POLL_INTERVAL: Final = 0.1
WATCH_LAG: Final = 10.0
"""Seconds that a watch may lag behind a list. Then the list is read again: an object that was deleted never comes."""

logger = logging.getLogger(__name__)


class Resync:
    """Lists the metadata of all watched objects, in all namespaces or in those that the operator serves."""

    def __init__(self, client: Client, cache: Cache, namespaces: Sequence[str]) -> None:
        self._client = client
        self._cache = cache
        self._scopes: Sequence[str | None] = namespaces or (None,)

    async def catch_up(self) -> None:
        """Wait until the cache knows everything that exists now, in this version or a later one.

        Raises ApiError when a list cannot be read.
        """
        while True:
            missing = await self._compare_all(newest=True)
            waited = 0.0
            while waited < WATCH_LAG:
                while missing and self._cache.knows(*missing[-1]):
                    missing.pop()
                if not missing:
                    break
                await asyncio.sleep(POLL_INTERVAL)
                waited += POLL_INTERVAL
            if not missing:
                return
            logger.info("waiting for %d objects that were listed but not seen yet", len(missing))

    async def compare(self) -> list[tuple[Resource, dict[str, Any]]]:
        """Forget objects that are gone; return kind and metadata of those that the cache does not know yet.

        The lists come from the API server's cache: an object that is newer than the list is not forgotten. Raises
        ApiError when a list cannot be read.
        """
        return await self._compare_all(newest=False)

    async def missing(self) -> int:
        """Forget objects that are gone; count listed objects that no watch has reported within WATCH_LAG seconds.

        Raises ApiError when a list cannot be read.
        """
        listed = await self.compare()
        if listed:
            await asyncio.sleep(WATCH_LAG)
        return sum(not self._cache.knows(*item) for item in listed)

    async def _compare_all(self, *, newest: bool) -> list[tuple[Resource, dict[str, Any]]]:
        missing = await self._compare(RUNTIMES, (None,), "", newest)
        if None in self._scopes:
            missing += await self._compare(NAMESPACES, (None,), "", newest)
        for resource in (STORES, COMPRESSION_JOBS, REVIEWS):
            missing += await self._compare(resource, self._scopes, "", newest)
        for resource in (JOBS, PODS):
            missing += await self._compare(resource, self._scopes, JOB_UID_LABEL, newest)
        return missing

    async def _compare(
        self, resource: Resource, scopes: Sequence[str | None], selector: str, newest: bool
    ) -> list[tuple[Resource, dict[str, Any]]]:
        missing: list[tuple[Resource, dict[str, Any]]] = []
        present: set[str] = set()
        moment: int | None = None
        for scope in scopes:
            async for page in self._lists(resource, scope, selector, newest):
                version = int(page["metadata"]["resourceVersion"])
                moment = version if moment is None else min(moment, version)
                for item in page["items"]:
                    metadata = item["metadata"]
                    present.add(metadata["uid"])
                    if not self._cache.knows(resource, metadata):
                        missing.append((resource, _essence(metadata)))
                # Pages that have already arrived come without a pause: let other tasks run in between.
                await asyncio.sleep(0)
        self._forget(resource, present, moment or 0)
        return missing

    def _lists(
        self, resource: Resource, scope: str | None, selector: str, newest: bool
    ) -> AsyncIterator[dict[str, Any]]:
        if newest:
            return self._client.pages(resource, scope, selector=selector, metadata_only=True, wait_when_busy=True)
        return self._client.cached_metadata(resource, scope, selector=selector)

    def _forget(self, resource: Resource, present: set[str], moment: int) -> None:
        for uid, (version, metadata) in self._cache.versions(resource).items():
            if uid not in present and version <= moment:
                logger.info("forgetting %s %s: deleted while no watch ran", resource.plural, uid)
                self._cache.drop(resource, metadata)


def _essence(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in ("uid", "name", "namespace", "resourceVersion", "labels") if key in metadata}
