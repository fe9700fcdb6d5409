"""Leader election with a Lease of coordination.k8s.io, as in Kubernetes' own components.

One replica holds the Lease and renews it. The others watch the record. They may take the Lease only if it has not
changed for a whole lease duration by their own clock: clocks of different machines are never compared.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound
from compression_operator.cluster.resources import LEASES

LEASE_DURATION: Final = 15.0
RENEW_DEADLINE: Final = 10.0
RETRY_PERIOD: Final = 2.0
RELEASE_ATTEMPTS: Final = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTimes:
    """Lease duration, the time limit for a renewal by the leader, and the pause between attempts, in seconds."""

    duration: float = LEASE_DURATION
    renew_deadline: float = RENEW_DEADLINE
    retry_period: float = RETRY_PERIOD


class LeaderElection:
    """Runs a coroutine while this replica holds the Lease, and cancels it at once when it loses the Lease."""

    def __init__(
        self, client: Client, *, namespace: str, name: str, identity: str, times: LeaseTimes = LeaseTimes()
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._seen_record: tuple[object, ...] = ()
        self._seen_at = 0.0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Stand by, lead, stand by again, until cancelled; then release the Lease.

        An error of ``lead`` releases the Lease and is raised. Raises RuntimeError if ``lead`` ends without an error.
        """
        while True:
            await self._acquire()
            logger.info("leading", extra={"identity": self._identity})
            leading = asyncio.ensure_future(lead())
            try:
                lost = await self._renew_until_lost(leading)
            finally:
                # From here on, this replica must not reconcile.
                leading.cancel()
                await asyncio.wait([leading])
                await self._release()
            if not lost:
                raise _cause(leading)
            logger.warning("no longer leading", extra={"identity": self._identity})

    async def _acquire(self) -> None:
        while True:
            try:
                if await self._try_to_take():
                    return
            except (Conflict, AlreadyExists):
                logger.info("another replica took the lease first")
            except ApiError as error:
                logger.warning("cannot read or take the lease: %s", error)
            await asyncio.sleep(self._times.retry_period * random.uniform(1.0, 1.2))

    async def _renew_until_lost(self, leading: "asyncio.Future[None]") -> bool:
        """Renew the Lease; return True if it is lost, False if ``leading`` ended by itself."""
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            await asyncio.wait([leading], timeout=self._times.retry_period)
            if leading.done():
                return False
            deadline = renewed_at + self._times.renew_deadline
            try:
                async with asyncio.timeout_at(deadline):
                    if not await self._try_to_renew():
                        return True
                renewed_at = loop.time()
            except (ApiError, TimeoutError) as error:
                logger.warning("cannot renew the lease: %r", error)
                if loop.time() >= deadline:
                    return True

    async def _try_to_take(self) -> bool:
        """Create the Lease, or take it over; return False while another replica holds it.

        Raises Conflict or AlreadyExists if it has changed since it was read.
        """
        lease = await self._read()
        if lease is None:
            await self._create()
            return True
        spec: dict[str, Any] = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self._identity and not self._has_expired(spec):
            return False
        await self._write(lease)
        return True

    async def _try_to_renew(self) -> bool:
        """Write a new time into the Lease; return False if it names another holder, even an expired one.

        Raises Conflict or AlreadyExists if it has changed since it was read: that change need not be a new holder.
        """
        lease = await self._read()
        if lease is None:
            await self._create()
            return True
        if ((lease.get("spec") or {}).get("holderIdentity") or self._identity) != self._identity:
            return False
        await self._write(lease)
        return True

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._client.get(LEASES, self._namespace, self._name)
        except NotFound:
            return None

    async def _create(self) -> None:
        metadata = {"name": self._name, "namespace": self._namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        now = _timestamp()
        spec = self._holding(now) | {"acquireTime": now, "leaseTransitions": 0}
        await self._client.create(LEASES, self._namespace, lease | {"spec": spec})

    async def _write(self, lease: dict[str, Any]) -> None:
        spec: dict[str, Any] = lease.get("spec") or {}
        now = _timestamp()
        changes = self._holding(now)
        if spec.get("holderIdentity") != self._identity:
            changes |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        await self._client.replace(LEASES, self._namespace, lease | {"spec": {**spec, **changes}})

    def _holding(self, now: str) -> dict[str, Any]:
        seconds = max(1, round(self._times.duration))
        return {"holderIdentity": self._identity, "leaseDurationSeconds": seconds, "renewTime": now}

    def _has_expired(self, spec: dict[str, Any]) -> bool:
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        now = asyncio.get_running_loop().time()
        if record != self._seen_record:
            self._seen_record, self._seen_at = record, now
        return now - self._seen_at > float(spec.get("leaseDurationSeconds") or self._times.duration)

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(self._times.retry_period):
                for _ in range(RELEASE_ATTEMPTS):
                    if await self._try_to_release():
                        return
            logger.warning("the lease was not released, as it kept changing; it will expire")
        except (ApiError, TimeoutError) as error:
            logger.warning("the lease was not released; it will expire: %r", error)

    async def _try_to_release(self) -> bool:
        """Release the Lease if this replica holds it; return False if it has changed since it was read."""
        lease = await self._read()
        if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self._identity:
            return True
        released = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _timestamp()}
        try:
            await self._client.replace(LEASES, self._namespace, lease | {"spec": lease["spec"] | released})
        except Conflict:
            return False
        return True


def _cause(ended: "asyncio.Future[None]") -> BaseException:
    """Return the error of the leader's work, or a RuntimeError if it ended without one."""
    if ended.cancelled():
        return RuntimeError("the leader's work was cancelled")
    return ended.exception() or RuntimeError("the leader's work ended without an error")


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
