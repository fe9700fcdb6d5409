"""Requests to the API server: one session, raw JSON, errors of ``cluster.errors``."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Self

import aiohttp

from compression_operator.cluster import item_reader
from compression_operator.cluster.credentials import Credentials
from compression_operator.cluster.errors import (
    ApiError,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
    refusal,
)
from compression_operator.cluster.resources import Resource
from compression_operator.cluster.session import TIMEOUT, Count, open_session

FIELD_MANAGER: Final = "compression-operator"
CHUNK: Final = 200
"""Objects in one page of a list."""
PAGE_ATTEMPTS: Final = 4
"""Attempts for one page of a list with ``wait_when_busy``, while the server answers with Retry-After."""
PAGE_PAUSE: Final = 10.0
"""Most seconds between two requests for the same page."""

_STREAM_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0, sock_connect=5.0, sock_read=30.0)
_PIECE: Final = 64 * 1024
_MERGE_PATCH: Final = "application/merge-patch+json"
_APPLY_PATCH: Final = "application/apply-patch+yaml"
_WATCH_SECONDS: Final = 300
"""Duration of a watch in seconds; then its caller begins another one."""
_WATCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 60.0, sock_connect=5.0)
_METADATA: Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class Client:
    """Client of the API server: all reads and writes of the control loop.

    Methods raise the errors of ``cluster.errors`` at once. A response with Retry-After becomes an error that carries
    the wait as ``retry_after``: the caller's work queue waits, and the worker takes another job. Only expired
    credentials are replaced here, once.
    """

    def __init__(self, credentials: Credentials, count: Count) -> None:
        self._credentials = credentials
        self._count = count
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """Read one object."""
        return await self._send("GET", resource.path(namespace, name))

    async def create(self, resource: Resource, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; return its metadata, since the rest is known."""
        path, params = resource.path(namespace), {"fieldManager": FIELD_MANAGER}
        answer = await self._send("POST", path, manifest, params=params, headers={"Accept": _METADATA})
        metadata: dict[str, Any] = answer["metadata"]
        return metadata

    async def replace(self, resource: Resource, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; refused with Conflict unless its resourceVersion is the one in ``manifest``."""
        path = resource.path(namespace, manifest["metadata"]["name"])
        return await self._send("PUT", path, manifest, params={"fieldManager": FIELD_MANAGER})

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change fields of an object, and return it.

        With a resourceVersion in ``patch``, a change in the meantime raises Conflict.
        """
        path, params = resource.path(namespace, name), {"fieldManager": FIELD_MANAGER}
        return await self._send("PATCH", path, patch, params=params, headers={"Content-Type": _MERGE_PATCH})

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change an object's status, and return its metadata; guarded like ``merge_patch``."""
        path, params = resource.path(namespace, name, "status"), {"fieldManager": FIELD_MANAGER}
        headers = {"Content-Type": _MERGE_PATCH, "Accept": _METADATA}
        answer = await self._send("PATCH", path, patch, params=params, headers=headers)
        metadata: dict[str, Any] = answer["metadata"]
        return metadata

    async def apply(self, resource: Resource, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Apply ``manifest`` (server-side apply), and take over its fields from other field managers."""
        path = resource.path(namespace, manifest["metadata"]["name"])
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._send("PATCH", path, manifest, params=params, headers={"Content-Type": _APPLY_PATCH})

    async def review(self, resource: Resource, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create a review object, such as a TokenReview, and return its status."""
        path, kind = resource.path(), {"apiVersion": f"{resource.group}/{resource.version}"}
        answer = await self._send("POST", path, {**kind, "spec": spec})
        status: dict[str, Any] = answer.get("status") or {}
        return status

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete an object and what it owns in the background; refused with Conflict if the uid is another."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        await self._send("DELETE", resource.path(namespace, name), options)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        wait_when_busy: bool = False,
    ) -> AsyncIterator[dict[str, Any]]:
        """List all objects of a kind in pages of CHUNK, all of one resourceVersion.

        ``selector`` is a label selector, ``fields`` a field selector. ``metadata_only`` leaves out everything but the
        metadata. ``wait_when_busy`` requests a page again after Retry-After, for long lists outside the work queue.
        """
        params = {"limit": str(CHUNK)} | ({"labelSelector": selector} if selector else {})
        params |= {"fieldSelector": fields} if fields else {}
        headers = {"Accept": _METADATA_LIST} if metadata_only else {}
        attempts = PAGE_ATTEMPTS if wait_when_busy else 1
        while True:
            page = await self._page(resource.path(namespace), params, headers, attempts=attempts)
            page["items"] = page.get("items") or []  # null when there are none
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            params["continue"] = token

    async def watch(
        self, resource: Resource, namespace: str | None, *, fields: str, version: str
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Watch objects from a version on: yield the type of each event (ADDED and so on) and the object.

        Ends after some minutes, as every watch does. Raises Gone where the version is too old.
        """
        path, action = resource.path(namespace), f"watch {resource.plural}"
        params = {
            "watch": "true", "fieldSelector": fields, "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)
        }  # fmt: skip
        try:
            async with self._request("GET", path, None, params, {}, _WATCH_TIMEOUT) as response:
                if response.status >= 400:
                    raise _refusal(response, await response.read(), action)
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise refusal(int(status.get("code") or 500), status, request=action, retry_after="")
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{action}: {type(error).__name__}: {error}") from error

    async def cached_metadata(
        self, resource: Resource, namespace: str | None, *, selector: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """List the metadata of all objects of a kind from the API server's watch cache, in small pages.

        This costs no read of etcd. The list may be a little stale; its resourceVersion states how old it is.
        """
        path = resource.path(namespace)
        params = {"resourceVersion": "0"} | ({"labelSelector": selector} if selector else {})
        for attempt in (1, 2):
            try:
                async with aclosing(self._stream(path, params)) as pages:
                    async for page in pages:
                        yield page
                return
            except Unauthorized:
                if attempt == 2:
                    raise
                await self._reopen()

    async def _stream(self, path: str, params: Mapping[str, str]) -> AsyncGenerator[dict[str, Any], None]:
        headers, action = {"Accept": _METADATA_LIST}, f"GET {path}"
        try:
            async with self._request("GET", path, None, params, headers, _STREAM_TIMEOUT) as response:
                if response.status >= 400:
                    raise _refusal(response, await response.read(), action)
                async for page in item_reader.pages(response.content.iter_chunked(_PIECE)):
                    yield page
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{action}: {type(error).__name__}: {error}") from error

    async def kinds(self, group: str, version: str) -> set[str]:
        """Return the plurals of the kinds that the API server serves in a group; empty for an unknown group."""
        try:
            answer = await self._send("GET", f"/apis/{group}/{version}")
        except NotFound:
            return set()
        return {item["name"] for item in answer.get("resources") or ()}

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            return await self._send_once(method, path, body, params, headers)
        except Unauthorized:
            await self._reopen()
        return await self._send_once(method, path, body, params, headers)

    async def _page(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str], *, attempts: int
    ) -> dict[str, Any]:
        for _ in range(attempts - 1):
            try:
                return await self._send("GET", path, params=params, headers=headers)
            except ApiError as error:
                if not error.retry_after:
                    raise
                await asyncio.sleep(min(error.retry_after, PAGE_PAUSE))
        return await self._send("GET", path, params=params, headers=headers)

    async def _send_once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        content = {"Content-Type": "application/json"} if data is not None else {}
        try:
            async with self._request(method, path, data, params, {**content, **(headers or {})}) as response:
                payload = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status >= 400:
            raise _refusal(response, payload, f"{method} {path}")
        try:
            answer: dict[str, Any] = json.loads(payload)
        except ValueError as error:
            raise Unreachable(f"{method} {path}: the answer is not JSON: {error}") from error
        return answer

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        data: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        limit: aiohttp.ClientTimeout = TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        session = self._session
        if session is None:
            raise Unreachable(f"{method} {path}: the client is not open")
        async with session.request(method, path, data=data, params=params, headers=headers, timeout=limit) as response:
            yield response

    async def _open(self) -> None:
        connection = await self._credentials.load()
        self._session = open_session(connection, self._credentials, self._count)

    async def _reopen(self) -> None:
        stale = self._session
        async with self._opening:
            if self._session is stale:  # the first refused request renews the session for all
                await self._open()
                if stale is not None:
                    # Requests in flight end with an error, and the work queue retries them.
                    await stale.close()


def _refusal(response: aiohttp.ClientResponse, payload: bytes, request: str) -> Refused:
    try:
        status = json.loads(payload)
    except ValueError:
        status = {"message": payload[:200].decode(errors="replace")}
    return refusal(
        response.status,
        status if isinstance(status, dict) else {},
        request=request,
        retry_after=response.headers.get("Retry-After", ""),
    )
