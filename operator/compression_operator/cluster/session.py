"""HTTP sessions with the API server: each request carries fresh credentials and is counted."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType

from compression_operator.cluster.credentials import Connection, Credentials
from compression_operator.cluster.errors import parse_retry_after

Count = Callable[[str, str, str], None]
"""Counts a request by its verb, resource and status code ("none" without an answer)."""
Answered = Callable[[str, bool, int], None]
"""Called with each response: the request's path, whether it is a watch, and the status code."""

USER_AGENT: Final = "compression-operator"
TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)
SHORTEST_WAIT: Final = 1.0
"""Seconds until a request is sent again to a busy server that sends no Retry-After."""
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def open_session(
    connection: Connection,
    credentials: Credentials,
    count: Count,
    answered: Answered = lambda *_: None,
    middlewares: tuple[ClientMiddlewareType, ...] = (),
) -> aiohttp.ClientSession:
    """Return a session that sends fresh credentials with each request and counts the responses.

    ``middlewares`` run before that: each of their retries is counted.
    """

    async def authenticate_and_count(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        authorization = credentials.authorization()
        if authorization:
            request.headers["Authorization"] = authorization
        watching = "watch" in request.url.query
        verb = "watch" if watching else _VERBS.get(request.method, "other")
        resource = _resource_of(request.url.path)
        try:
            response = await send(request)
        except (aiohttp.ClientError, TimeoutError):
            count(verb, resource, "none")
            raise
        count(verb, resource, str(response.status))
        answered(request.url.path, watching, response.status)
        return response

    return aiohttp.ClientSession(
        base_url=connection.server,
        connector=aiohttp.TCPConnector(limit=0, ssl=connection.ssl_context()),
        headers={"User-Agent": USER_AGENT},
        timeout=TIMEOUT,
        middlewares=(*middlewares, authenticate_and_count),
    )


async def retry_when_throttled(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request again after Retry-After, within bounds, until the API server accepts it.

    A middleware for kopf, which would wait for the full time in the header, even a day.
    """
    while True:
        response = await send(request)
        if response.status != 429:
            return response
        response.release()
        seconds = parse_retry_after(response.headers.get("Retry-After", ""))
        await asyncio.sleep(max(SHORTEST_WAIT, seconds) * random.uniform(1.0, 1.2))


def _resource_of(path: str) -> str:
    # /api/v1/[namespaces/NS/]PLURAL/..., /apis/GROUP/VERSION/[namespaces/NS/]PLURAL/...: names never become labels.
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    return parts[0] if parts else "discovery"
