"""Only running pods get progress requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS
from compression_operator.loop.progress_polls import ProgressPolls
from compression_operator.telemetry.metrics import Metrics
from tests.support.operator.builders import UID
from tests.support.operator.raw import raw_child, raw_pod, versioned_job


@asynccontextmanager
async def pod_that_says(*answers: str) -> AsyncIterator[int]:
    """A pod's HTTP server, which gives the answers one after the other and then repeats the last."""
    left = list(answers)

    async def progress(_: web.Request) -> web.Response:
        return web.Response(text=left.pop(0) if len(left) > 1 else left[0])

    async with pod_that(progress) as port:
        yield port


@asynccontextmanager
async def pod_that(answers: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[int]:
    """A pod's HTTP server that answers so."""
    application = web.Application()
    application.add_routes([web.get("/progress", answers)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def cache_with(pod_runs: bool, changed: asyncio.Event) -> Cache:
    cache = Cache(lambda _: changed.set(), children_protected=True)
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    cache.put(JOBS, raw_child())
    cache.put(PODS, raw_pod(running=pod_runs))
    changed.clear()
    return cache


async def test_progress_reaches_the_cache_once_per_change() -> None:
    changed, metrics = asyncio.Event(), Metrics()
    cache = cache_with(True, changed)
    answers = ("nonsense", '{"stage": "prune", "fraction": 0.25}', '{"stage": "pack", "fraction": 0.5}')
    async with pod_that_says(*answers) as port:
        polls = ProgressPolls(cache, metrics, interval=0.02, port=port)
        polls.follow(UID)
        polls.follow(UID)
        asking = asyncio.create_task(polls.run())
        seen = []
        for _ in range(2):
            await asyncio.wait_for(changed.wait(), timeout=10)
            changed.clear()
            observed = cache.observe(UID)
            assert observed is not None
            assert observed.progress is not None
            seen.append((observed.progress.stage, observed.progress.percent))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert seen == [("prune", 25), ("pack", 50)]
    assert metrics.registry.get_sample_value("compression_operator_progress_polls_total", {"outcome": "failed"}) == 1


async def test_time_of_the_last_progress_is_recorded() -> None:
    changed = asyncio.Event()
    cache = cache_with(True, changed)
    async with pod_that_says('{"stage": "prune", "fraction": 0.25}') as port:
        polls = ProgressPolls(cache, Metrics(), interval=0.01, port=port)
        polls.follow(UID)
        began = polls.last_progress[UID]
        asking = asyncio.create_task(polls.run())
        await asyncio.wait_for(changed.wait(), timeout=10)
        advanced = polls.last_progress[UID]
        await asyncio.sleep(0.1)
        assert began <= advanced == polls.last_progress[UID]
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert polls.last_progress == {}


async def test_polling_restarts_with_leadership() -> None:
    changed, requested = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        requested.set()
        await asyncio.sleep(60)
        return web.Response()

    cache = cache_with(True, changed)
    async with pod_that(hang) as port:
        polls = ProgressPolls(cache, Metrics(), interval=0.01, port=port)
        polls.follow(UID)
        for _ in range(2):
            asking = asyncio.create_task(polls.run())
            await asyncio.wait_for(requested.wait(), timeout=10)
            requested.clear()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            polls.follow(UID)


async def test_only_running_pods_are_polled() -> None:
    metrics = Metrics()
    polls = ProgressPolls(cache_with(False, asyncio.Event()), metrics, interval=0.01)
    polls.follow(UID)
    asking = asyncio.create_task(polls.run())
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert metrics.registry.get_sample_value("compression_operator_progress_polls_total", {"outcome": "failed"}) is None
