"""What the operator serves: /healthz, /readyz and /metrics, on one port."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


@asynccontextmanager
async def serve(port: int, registry: CollectorRegistry, ready: Callable[[], bool]) -> AsyncIterator[int]:
    """Serve on all addresses until the block ends; yields the port (IPv4's), which 0 leaves to the system."""

    async def healthz(_: web.Request) -> web.Response:
        # That the loop answers is the news: a loop that is stuck answers nobody.
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the caches are not filled yet\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port)
        await site.start()
        # One socket for each IP version; where the system chose, each has a port of its own.
        yield int(min(runner.addresses, key=len)[1])
    finally:
        await runner.cleanup()
