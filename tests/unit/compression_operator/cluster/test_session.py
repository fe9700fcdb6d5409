"""kopf's requests wait for a busy API server, but not for a day."""

import pytest
from aiohttp import web

from compression_operator.cluster import session
from compression_operator.cluster.credentials import Connection
from compression_operator.cluster.session import open_session, retry_when_throttled
from tests.support.operator.api_server import Answer, server


@pytest.mark.parametrize("header", ["86400", "", "Sat, 28 Nov 2026 20:00:00 GMT"])
async def test_throttled_requests_are_retried(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression_operator.cluster.errors.MAX_RETRY_AFTER", 0.01)
    monkeypatch.setattr(session, "SHORTEST_WAIT", 0.01)
    codes: list[int] = []

    def answer(_: web.Request) -> Answer:
        codes.append(429 if len(codes) < 2 else 200)
        return codes[-1], {}, {"Retry-After": header}

    async with server(answer) as (_, credentials, metrics):
        address = (await credentials.load()).server
        middlewares = (retry_when_throttled,)
        opened = open_session(Connection(address), credentials, metrics.count_request, middlewares=middlewares)
        async with opened as requests, requests.get("/api/v1/pods?watch=true") as response:
            assert response.status == 200
    assert codes == [429, 429, 200]
    labels = {"verb": "watch", "resource": "pods", "code": "429"}
    assert metrics.registry.get_sample_value("compression_operator_api_requests_total", labels) == 2
