"""The API server decides about access to the metrics; decisions are cached for a short time."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import Unreachable
from compression_operator.cluster.resources import TOKEN_REVIEWS, Resource
from compression_operator.process import metrics_access
from compression_operator.process.metrics_access import ALLOWED_FOR, MAX_CHECKS, REFUSED_FOR, MetricsAccess

USER = {"username": "system:serviceaccount:m:prometheus", "uid": "7", "groups": ["g"], "extra": {"a": ["b"]}}


class Reviews(Client):
    """An API server that knows these tokens; those in ``allowed`` may read."""

    def __init__(self, *known: str, allowed: tuple[str, ...] = ()) -> None:
        self.known, self.allowed = set(known), set(allowed)
        self.checked: list[str] = []
        self.specs: list[Mapping[str, Any]] = []
        self.away = False
        self.open = self.most_open = 0

    async def review(self, resource: Resource, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Decide."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        if self.away:
            raise Unreachable("away")
        if resource is TOKEN_REVIEWS:
            self.checked.append(spec["token"])
            known = spec["token"] in self.known
            return {"authenticated": True, "user": {**USER, "uid": spec["token"]}} if known else {"error": "expired"}
        self.specs.append(spec)
        return {"allowed": spec["uid"] in self.allowed}


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def test_status_of_each_kind_of_token() -> None:
    reviews = Reviews("known", "reader", allowed=("reader",))
    access = MetricsAccess(reviews)
    for header in ("", "Bearer", "Bearer ", "Basic cmVhZGVy", "reader", f"Bearer {'x' * 20000}"):
        assert await access.check(header) == 401
    assert reviews.checked == []
    assert await access.check("Bearer forged") == 401
    assert await access.check("Bearer known") == 403
    assert await access.check("bearer reader") == 200
    attributes = {"path": "/metrics", "verb": "get"}
    user = {"user": USER["username"], "uid": "reader", "groups": ["g"], "extra": {"a": ["b"]}}
    assert reviews.specs[-1] == {"nonResourceAttributes": attributes, **user}


async def test_decisions_are_cached_and_refusals_for_less_time() -> None:
    reviews, clock = Reviews("a", "b", allowed=("a",)), Clock()
    access = MetricsAccess(reviews, clock)
    for _ in range(3):
        assert (await access.check("Bearer a"), await access.check("Bearer b")) == (200, 403)
    assert reviews.checked == ["a", "b"]
    clock.seconds += REFUSED_FOR + 1
    reviews.known, reviews.allowed = {"b"}, {"b"}
    assert (await access.check("Bearer a"), await access.check("Bearer b")) == (200, 200)
    clock.seconds += ALLOWED_FOR
    assert await access.check("Bearer a") == 401


async def test_an_api_server_that_is_away_is_503_and_not_remembered() -> None:
    reviews = Reviews("a", allowed=("a",))
    access = MetricsAccess(reviews)
    reviews.away = True
    assert await access.check("Bearer a") == 503
    reviews.away = False
    assert await access.check("Bearer a") == 200


async def test_concurrent_checks_are_limited() -> None:
    reviews = Reviews()
    access = MetricsAccess(reviews)
    assert set(await asyncio.gather(*(access.check(f"Bearer {number}") for number in range(50)))) == {401}
    assert reviews.most_open <= MAX_CHECKS
    reviews.checked.clear()
    await asyncio.gather(*(access.check("Bearer same") for _ in range(20)))
    assert len(reviews.checked) <= MAX_CHECKS


async def test_cached_decisions_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_access, "MAX_REMEMBERED", 2)
    reviews = Reviews()
    access = MetricsAccess(reviews)
    for token in ("a", "b", "c", "a"):
        await access.check(f"Bearer {token}")
    assert reviews.checked == ["a", "b", "c", "a"]
