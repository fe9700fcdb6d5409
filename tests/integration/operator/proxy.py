"""A proxy before the API server that speaks plain HTTP, as administrator, and tampers with watches."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from compression_operator.cluster.credentials import Credentials

HOP_BY_HOP = ("Host", "Transfer-Encoding", "Content-Length", "Connection")


class Proxy:
    """Passes everything on; events that ``hides`` says yes to are kept back."""

    def __init__(self) -> None:
        self.hides: Callable[[dict[str, Any]], bool] = lambda _: False
        self._streams: dict[web.StreamResponse, tuple[str, aiohttp.ClientResponse]] = {}
        self._loop = asyncio.new_event_loop()

    def fail(self, plural: str, code: int) -> int:
        """Send an ERROR event into every open watch of a kind and end it; returns how many there were."""
        return asyncio.run_coroutine_threadsafe(self._fail(plural, code), self._loop).result(timeout=20)

    async def _fail(self, plural: str, code: int) -> int:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "injected", "code": code}
        line = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        open_now = [(stream, answer) for stream, (path, answer) in self._streams.items() if path.endswith(f"/{plural}")]
        for stream, answer in open_now:
            del self._streams[stream]
            await stream.write(line)
            answer.close()
        return len(open_now)

    def run(self, kubeconfig: Path, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; ``ready`` gets the address."""
        self._loop.run_until_complete(self._run(kubeconfig, ready, stop))
        self._loop.close()

    def end(self, stop: asyncio.Event) -> None:
        """Make ``run`` return."""
        self._loop.call_soon_threadsafe(stop.set)

    async def _run(self, kubeconfig: Path, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        connection = await Credentials({**os.environ, "KUBECONFIG": str(kubeconfig)}).load()
        connector = aiohttp.TCPConnector(limit=0, ssl=connection.ssl_context())
        unlimited = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connection.server, connector=connector, timeout=unlimited) as session:

            async def handle(request: web.Request) -> web.StreamResponse:
                headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
                async with session.request(
                    request.method, request.path_qs, headers=headers, data=await request.read() or None
                ) as answer:
                    if "watch" in request.query and answer.status == 200:
                        return await self._watch(request, answer)
                    kept = {
                        name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers
                    }
                    return web.Response(status=answer.status, headers=kept, body=await answer.read())

            application = web.Application(client_max_size=2**26)
            application.router.add_route("*", "/{path:.*}", handle)
            runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ready(f"http://127.0.0.1:{runner.addresses[0][1]}")
            await stop.wait()
            await runner.cleanup()
        await asyncio.sleep(0.1)  # TLS connections close a little later than the session

    async def _watch(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        self._streams[stream] = request.path, answer
        buffer = b""
        try:
            async for chunk in answer.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    if stream in self._streams and not self.hides(json.loads(line)):
                        await stream.write(line + b"\n")
        except aiohttp.ClientError:
            assert stream not in self._streams, "only failing a watch closes its source"
        finally:
            self._streams.pop(stream, None)
        return stream


@contextmanager
def running(kubeconfig: Path, folder: Path) -> Iterator[tuple[Proxy, Path]]:
    """A proxy and the kubeconfig that leads to it."""
    proxy, stop, addresses, ready = Proxy(), asyncio.Event(), list[str](), threading.Event()

    def note(address: str) -> None:
        addresses.append(address)
        ready.set()

    thread = threading.Thread(target=proxy.run, args=(kubeconfig, note, stop), daemon=True)
    thread.start()
    assert ready.wait(timeout=20)
    path = folder / "proxy.kubeconfig"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": addresses[0]}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    }))  # fmt: skip
    try:
        yield proxy, path
    finally:
        proxy.end(stop)
        thread.join(timeout=20)
