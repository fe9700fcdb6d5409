"""Only another holder's name ends leadership; a changed Lease is read again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound, TooManyRequests
from compression_operator.process.leader import LeaderElection, LeaseTimes
from tests.support.operator.control_loop import until

TIMES = LeaseTimes(duration=30, renew_deadline=20, retry_period=0.01)


class Leases:
    """One Lease on an API server; ``errors`` are raised by the next writes."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.errors: list[ApiError] = []
        self.writes = 0
        self.failing: ApiError | None = None

    @property
    def holder(self) -> str:
        """The name in the Lease."""
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

    async def get(self, *_: object) -> dict[str, Any]:
        """Read it."""
        if self.lease is None:
            raise NotFound(404, "none", request="get")
        return self.lease

    async def create(self, _: object, __: str, manifest: dict[str, Any]) -> Mapping[str, Any]:
        """Create it."""
        return await self.replace(_, __, manifest)

    async def replace(self, _: object, __: str, manifest: dict[str, Any]) -> Mapping[str, Any]:
        """Replace it."""
        if self.failing is not None:
            raise self.failing
        if self.errors:
            raise self.errors.pop(0)
        self.lease, self.writes = manifest, self.writes + 1
        return manifest


class Leader:
    """The work of a leader."""

    def __init__(self) -> None:
        self.starts = 0
        self.leads = False
        self.end = asyncio.Event()
        self.error: Exception | None = None

    async def lead(self) -> None:
        """Lead until cancelled or asked to end."""
        self.starts, self.leads = self.starts + 1, True
        try:
            await self.end.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.leads = False


@asynccontextmanager
async def running(leases: Leases, leader: Leader, times: LeaseTimes = TIMES) -> AsyncIterator["asyncio.Task[None]"]:
    election = LeaderElection(cast(Client, leases), namespace="ns", name="lease", identity="me", times=times)
    task = asyncio.create_task(election.run(leader.lead))
    try:
        await until(lambda: leader.leads)
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, RuntimeError, ValueError):
            await task


@pytest.mark.parametrize("error", [Conflict, AlreadyExists, TooManyRequests])
async def test_refused_renewal_reads_the_lease_again(error: type[Conflict]) -> None:
    leases, leader = Leases(), Leader()
    async with running(leases, leader):
        leases.errors = [error(409, "changed", request="put", retry_after=60)] * 3
        before = leases.writes
        await until(lambda: leases.writes > before)
        assert (leader.leads, leader.starts, leases.errors) == (True, 1, [])


@pytest.mark.parametrize("change", [None, {"holderIdentity": ""}])
async def test_lease_without_another_holder_is_kept(change: dict[str, Any] | None) -> None:
    leases, leader = Leases(), Leader()
    async with running(leases, leader):
        leases.lease = None if change is None else {"spec": change}
        await until(lambda: leases.holder == "me")
        assert (leader.leads, leader.starts) == (True, 1)


async def test_another_holder_ends_leadership_even_when_it_has_expired() -> None:
    leases, leader = Leases(), Leader()
    async with running(leases, leader):
        leases.lease = {"spec": {"holderIdentity": "other", "leaseDurationSeconds": 0.01, "renewTime": "long ago"}}
        await until(lambda: leader.starts == 2)
        assert leases.lease is not None
        assert (leases.holder, leases.lease["spec"]["leaseTransitions"]) == ("me", 1)


async def test_conflicts_until_the_deadline_end_leadership() -> None:
    leases, leader = Leases(), Leader()
    async with running(leases, leader, LeaseTimes(duration=30, renew_deadline=0.1, retry_period=0.01)):
        leases.failing = Conflict(409, "changed", request="put")
        await until(lambda: not leader.leads)


@pytest.mark.parametrize(
    "error", [Conflict(409, "changed", request="put"), AlreadyExists(409, "there", request="post")]
)
async def test_a_race_for_a_free_lease_is_no_error(error: ApiError, caplog: pytest.LogCaptureFixture) -> None:
    leases, leader = Leases(), Leader()
    leases.errors = [error]
    async with running(leases, leader):
        assert leases.holder == "me"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


async def test_changed_lease_is_released() -> None:
    leases, leader = Leases(), Leader()
    async with running(leases, leader, LeaseTimes(duration=30, renew_deadline=20, retry_period=5)):
        leases.errors = [Conflict(409, "changed", request="put")]
    assert leases.holder == ""


@pytest.mark.parametrize("error", [None, ValueError("no more")])
async def test_work_that_ends_by_itself_is_an_error(error: Exception | None) -> None:
    leases, leader = Leases(), Leader()
    async with running(leases, leader) as task:
        leader.error = error
        leader.end.set()
        with pytest.raises((RuntimeError, ValueError), match=str(error or "ended without an error")):
            await asyncio.wait_for(asyncio.shield(task), timeout=10)
    assert leases.holder == ""


async def test_cancelled_work_is_an_error() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    election = LeaderElection(cast(Client, Leases()), namespace="ns", name="lease", identity="me", times=TIMES)
    with pytest.raises(RuntimeError, match="cancelled"):
        await asyncio.wait_for(election.run(cancelled), timeout=10)
