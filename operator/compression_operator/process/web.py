"""HTTP server: /healthz and /readyz in plain HTTP; /metrics on the same port, or over HTTPS with access control."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from compressionjob.pod_interface import METRICS_PATH

Check = Callable[[str], Awaitable[int]]
"""Returns the HTTP status for a request with this Authorization header: 200 where it may read the metrics."""

_WHY: Final = {
    401: "send a bearer token of this cluster",
    403: f"this user may not get {METRICS_PATH}: bind the ClusterRole whose name ends in :metrics-reader",
    503: "the API server could not check the token: try again",
}


def health_routes(ready: Callable[[], bool]) -> list[web.RouteDef]:
    """Return the routes of the kubelet's probes."""

    async def healthz(_: web.Request) -> web.Response:
        # Any response is a sign of life: a stuck event loop does not respond.
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the caches are not filled yet\n")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


def metrics_routes(registry: CollectorRegistry, check: Check | None = None) -> list[web.RouteDef]:
    """Return the route of the metrics, open to all clients or only to those that ``check`` admits."""

    async def metrics(request: web.Request) -> web.Response:
        status = 200 if check is None else await check(request.headers.get("Authorization", ""))
        if status != 200:
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            return web.Response(status=status, text=f"{_WHY[status]}\n", headers=headers)
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get(METRICS_PATH, metrics)]


@asynccontextmanager
async def serve(port: int, routes: Sequence[web.RouteDef], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on all addresses until the block ends; yield the IPv4 port, which the system chooses for 0."""
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port, ssl_context=tls)
        await site.start()
        # One socket for each IP version; if the system chooses, each has a port of its own.
        yield int(min(runner.addresses, key=len)[1])
    finally:
        await runner.cleanup()
