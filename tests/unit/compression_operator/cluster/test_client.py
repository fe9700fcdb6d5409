"""Responses of the API server become results or typed errors; Retry-After is honoured."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from compression_operator.cluster import errors
from compression_operator.cluster.client import Client
from compression_operator.cluster.credentials import Connection, Credentials
from compression_operator.cluster.resources import COMPRESSION_JOBS, EVENTS, JOBS, NETWORK_POLICIES, PODS, TOKEN_REVIEWS
from compression_operator.telemetry.metrics import Metrics
from tests.support.operator.api_server import Answer, Fixed, server


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", errors.Invalid),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Gone),
        (418, "Teapot", errors.Refused),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.ServerTrouble),
        (503, "ServiceUnavailable", errors.ServerTrouble),
    ],
)
async def test_refusals_have_a_type_and_the_servers_message(code: int, reason: str, kind: type[errors.Refused]) -> None:
    body = {"kind": "Status", "reason": reason, "message": f"because of {reason}"}
    async with server(lambda _: (code, body, {})) as (client, _, metrics):
        with pytest.raises(
            errors.Refused, match=f"GET /apis/batch/v1/namespaces/ns/jobs/x: {code}: because of"
        ) as caught:
            await client.get(JOBS, "ns", "x")
    assert type(caught.value) is kind
    labels = {"verb": "get", "resource": "jobs", "code": str(code)}
    assert metrics.registry.get_sample_value("compression_operator_api_requests_total", labels) == 1


async def test_missing_response_is_unreachable() -> None:
    client = Client(Fixed("http://127.0.0.1:1"), Metrics().count_request)
    async with client:
        with pytest.raises(errors.Unreachable, match="GET /api/v1/namespaces/ns/pods/x: "):
            await client.get(PODS, "ns", "x")


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("17", {}, 17),
        ("", {"retryAfterSeconds": 5}, 5),
        ("86400", {}, errors.MAX_RETRY_AFTER),
        ("inf", {}, errors.MAX_RETRY_AFTER),
        ("-3", {}, 0),
        ("nan", {}, 0),
        ("Sat, 28 Nov 2026 20:00:00 GMT", {"retryAfterSeconds": "soon"}, 0),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_is_raised_at_once_and_bounded(
    code: int, header: str, details: dict[str, object], seconds: float
) -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> Answer:
        seen.append(request.method)
        return code, {"details": details}, {"Retry-After": header}

    async with server(answer) as (client, _, _metrics):
        with pytest.raises(errors.Refused) as caught:
            await asyncio.wait_for(client.create(JOBS, "ns", {"metadata": {"name": "x"}}), timeout=10)
    assert caught.value.retry_after == seconds
    assert seen == ["POST"]


async def test_only_lists_with_wait_when_busy_retry_a_page() -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> Answer:
        seen.append(request.query.get("continue", ""))
        if len(seen) == 2:
            return 429, {}, {"Retry-After": "0.01"}
        return 200, {"metadata": {"continue": "" if seen[-1] else "next"}, "items": [{"n": len(seen)}]}, {}

    async with server(answer) as (client, _, _metrics):
        pages = [page["items"] async for page in client.pages(JOBS, None, wait_when_busy=True)]
        assert (pages, seen) == ([[{"n": 1}], [{"n": 3}]], ["", "next", "next"])
        seen.clear()
        with pytest.raises(errors.TooManyRequests):
            _ = [page async for page in client.pages(JOBS, None)]


async def test_server_trouble_without_retry_after_is_left_to_the_caller() -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> Answer:
        seen.append(request.method)
        return 500, {}, {}

    async with server(answer) as (client, _, _metrics):
        with pytest.raises(errors.ServerTrouble):
            await client.create(JOBS, "ns", {"metadata": {"name": "x"}})
    assert seen == ["POST"]


async def test_an_expired_token_is_replaced_once() -> None:
    def answer(request: web.Request) -> Answer:
        fresh = request.headers["Authorization"] == "Bearer token-2"
        return (200, {"metadata": {}}, {}) if fresh else (401, {"message": "expired"}, {})

    async with server(answer) as (client, credentials, _):
        await client.get(JOBS, "ns", "x")
        assert credentials.loads == 2
    async with server(lambda _: (401, {}, {})) as (client, credentials, _):
        with pytest.raises(errors.Unauthorized):
            await client.get(JOBS, "ns", "x")
        assert credentials.loads == 2


async def test_a_list_is_read_page_by_page() -> None:
    def answer(request: web.Request) -> Answer:
        assert request.query["labelSelector"] == "a=b"
        assert "PartialObjectMetadataList" in request.headers["Accept"]
        if "continue" not in request.query:
            return 200, {"metadata": {"continue": "next"}, "items": [{"n": 1}]}, {}
        return 200, {"metadata": {"continue": ""}, "items": None}, {}

    async with server(answer) as (client, _, _metrics):
        pages = [page["items"] async for page in client.pages(JOBS, None, selector="a=b", metadata_only=True)]
    assert pages == [[{"n": 1}], []]


async def test_cached_metadata_is_read_item_by_item() -> None:
    def answer(request: web.Request) -> Answer:
        if request.headers["Authorization"] != "Bearer token-2":
            return 401, {}, {}
        assert (request.query["resourceVersion"], request.query["labelSelector"]) == ("0", "a=b")
        assert "limit" not in request.query, "the API server reads no page from its memory"
        assert "PartialObjectMetadataList" in request.headers["Accept"]
        return 200, {"metadata": {"resourceVersion": "7"}, "items": [{"n": 1}, {"n": 2}]}, {}

    async with server(answer) as (client, _, _metrics):
        pages = [page async for page in client.cached_metadata(JOBS, None, selector="a=b")]
    assert [item for page in pages for item in page["items"]] == [{"n": 1}, {"n": 2}]
    assert {page["metadata"]["resourceVersion"] for page in pages} == {"7"}


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [(429, {}, errors.TooManyRequests), (200, {"no": "list"}, errors.Unreachable), (401, {}, errors.Unauthorized)],
)
async def test_malformed_list_is_unreachable(code: int, body: dict[str, object], kind: type[errors.ApiError]) -> None:
    async with server(lambda _: (code, body, {"Retry-After": "3"})) as (client, _, _metrics):
        with pytest.raises(kind) as caught:
            _ = [page async for page in client.cached_metadata(JOBS, None)]
    assert caught.value.retry_after == (0 if code == 200 else 3)


def test_paths() -> None:
    assert COMPRESSION_JOBS.path("ns", "a", "status") == (
        "/apis/compression-operator.io/v1alpha1/namespaces/ns/compressionjobs/a/status"
    )
    assert PODS.path() == "/api/v1/pods"
    assert EVENTS.path("n/s", "x") == "/apis/events.k8s.io/v1/namespaces/n%2Fs/events/x"


def test_a_pods_service_account_is_used_unless_a_kubeconfig_is_named(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert not Credentials(environment, tmp_path).in_cluster
    (tmp_path / "token").write_text("one")
    assert Credentials(environment, tmp_path).in_cluster
    assert not Credentials({**environment, "KUBECONFIG": "x"}, tmp_path).in_cluster
    assert not Credentials({}, tmp_path).in_cluster


async def test_a_rotated_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "ca.crt").write_text("")
    credentials = Credentials({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, tmp_path)
    connection = await credentials.load()
    assert connection.server == "https://[fd00::1]:6443"
    assert credentials.authorization() == "Bearer one"
    (tmp_path / "token").write_text("two\n")
    assert credentials.authorization() == "Bearer one"
    monkeypatch.setattr("compression_operator.cluster.credentials.TOKEN_MAX_AGE", -1.0)
    assert credentials.authorization() == "Bearer two"


def test_invalid_certificates_are_reported() -> None:
    with pytest.raises(errors.CredentialsError, match="check the kubeconfig"):
        Connection("https://x", ca="nonsense").ssl_context()
    assert Connection("https://x", verify=False).ssl_context().verify_mode is ssl.CERT_NONE


async def test_apply_forces_fields_with_its_field_manager() -> None:
    seen: list[tuple[str, str, str, str]] = []

    def answer(request: web.Request) -> Answer:
        seen.append((request.method, request.path, request.query_string, request.content_type))
        return 200, {"metadata": {"resourceVersion": "7"}}, {}

    async with server(answer) as (client, _, _metrics):
        made = await client.apply(NETWORK_POLICIES, "ns", {"metadata": {"name": "runners"}})
    assert made == {"metadata": {"resourceVersion": "7"}}
    path = "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies/runners"
    query = "fieldManager=compression-operator&force=true"
    assert seen == [("PATCH", path, query, "application/apply-patch+yaml")]


async def test_review_returns_its_status() -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> Answer:
        seen.append(request.path)
        return 201, {"status": {"authenticated": True}}, {}

    async with server(answer) as (client, _, _metrics):
        assert await client.review(TOKEN_REVIEWS, {"token": "x"}) == {"authenticated": True}
    assert seen == ["/apis/authentication.k8s.io/v1/tokenreviews"]


@asynccontextmanager
async def watched(*lines: str) -> AsyncIterator[Client]:
    """A client of a server that answers a watch with these lines."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert (request.query["watch"], request.query["fieldSelector"]) == ("true", "metadata.name=runners")
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line.encode() + b"\n")
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        credentials = Fixed(f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with Client(credentials, Metrics().count_request) as client:
            yield client
    finally:
        await runner.cleanup()


async def events(client: Client) -> list[tuple[str, str]]:
    watch = client.watch(NETWORK_POLICIES, None, fields="metadata.name=runners", version="1")
    return [(kind, raw["metadata"]["name"]) async for kind, raw in watch]


async def test_watch_yields_events_until_it_ends() -> None:
    lines = [json.dumps({"type": kind, "object": {"metadata": {"name": "runners"}}}) for kind in ("ADDED", "DELETED")]
    async with watched(*lines) as client:
        assert await events(client) == [("ADDED", "runners"), ("DELETED", "runners")]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"type": "ERROR", "object": {"code": 410, "message": "too old"}}', errors.Gone),
        ('{"type": "ERROR", "object": {"code": 500}}', errors.ServerTrouble),
        ('{"type": "ADD', errors.Unreachable),
    ],
)
async def test_watch_raises_the_error_event(line: str, kind: type[errors.ApiError]) -> None:
    async with watched(line) as client:
        with pytest.raises(kind):
            await events(client)
