"""A server on loopback that answers as a test says, and the operator's client for it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from compression_operator.cluster.client import Client
from compression_operator.cluster.credentials import Connection, Credentials
from compression_operator.telemetry.metrics import Metrics

Answer = tuple[int, dict[str, Any], Mapping[str, str]]


class Fixed(Credentials):
    """Credentials of a server on loopback, which get a new token at every load."""

    def __init__(self, server: str) -> None:
        super().__init__({})
        self._server = server
        self.loads = 0

    async def load(self) -> Connection:
        """The next connection."""
        self.loads += 1
        self._connection = Connection(self._server, authorization=f"Bearer token-{self.loads}")
        return self._connection


@asynccontextmanager
async def server(answer: Callable[[web.Request], Answer]) -> AsyncIterator[tuple[Client, Fixed, Metrics]]:
    """A client of a server that answers every request so."""

    async def handle(request: web.Request) -> web.Response:
        code, body, headers = answer(request)
        return web.json_response(body, status=code, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    credentials, metrics = Fixed(f"http://127.0.0.1:{runner.addresses[0][1]}"), Metrics()
    try:
        async with Client(credentials, metrics.count_request) as client:
            yield client, credentials, metrics
    finally:
        await runner.cleanup()
