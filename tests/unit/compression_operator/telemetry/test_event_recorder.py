"""Events are sent; repeated and dropped ones are counted; they never block the control loop."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from tenacity import RetryCallState

from compression_operator.cluster.client import Client
from compression_operator.telemetry import event_recorder as events
from compression_operator.telemetry.event_recorder import EventRecorder, event_of
from compression_operator.telemetry.metrics import Metrics
from compression_operator.telemetry.notes import Note
from tests.support.operator.api_server import Answer, Fixed, server
from tests.support.operator.builders import NOW, UID, job, review

OUTCOMES = "compression_operator_events_total"
NOTE = Note("Normal", "Started", "created the Job x")


async def sent(recorder: EventRecorder, metrics: Metrics, outcome: str, count: int) -> None:
    """Run the recorder until so many Events have had this outcome."""

    async def enough() -> None:
        while (metrics.registry.get_sample_value(OUTCOMES, {"outcome": outcome}) or 0) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    running = asyncio.create_task(recorder.run())
    await asyncio.wait_for(enough(), timeout=10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_repeated_event_becomes_a_series() -> None:
    requests: list[tuple[str, Any]] = []

    def answer(request: web.Request) -> Answer:
        requests.append((request.method, request.path))
        return (409, {"reason": "AlreadyExists"}, {}) if request.method == "POST" else (200, {"metadata": {}}, {})

    async with server(answer) as (client, _, metrics):
        recorder = EventRecorder(client, metrics, "me")
        recorder.record(job(), NOTE)
        await sent(recorder, metrics, "repeated", 1)
    name = event_of(job(), NOTE, instance="me", now=NOW)["metadata"]["name"]
    root = "/apis/events.k8s.io/v1/namespaces/default/events"
    assert requests == [("POST", root), ("PATCH", f"{root}/{name}")]


async def test_failed_event_is_counted_and_the_next_is_sent() -> None:
    def answer(request: web.Request) -> Answer:
        answers.append(request.path)
        return (403, {}, {}) if len(answers) == 1 else (201, {"metadata": {}}, {})

    answers: list[str] = []
    async with server(answer) as (client, _, metrics):
        recorder = EventRecorder(client, metrics, "me")
        recorder.record(job(), NOTE)
        await sent(recorder, metrics, "failed", 1)
        recorder.record(job(), NOTE)
        await sent(recorder, metrics, "sent", 1)


async def test_an_event_is_sent_again_after_the_pause_that_the_server_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def at_once(state: RetryCallState) -> float:
        pauses.append(pause(state))
        return 0.0

    pause = events._pause
    monkeypatch.setattr(events, "_pause", at_once)
    refusals: list[Answer] = [(503, {}, {"Retry-After": "7"}), (500, {}, {})]
    async with server(lambda _: refusals.pop(0) if refusals else (201, {"metadata": {}}, {})) as (client, _, metrics):
        recorder = EventRecorder(client, metrics, "me")
        recorder.record(job(), NOTE)
        await sent(recorder, metrics, "sent", 1)
        assert pauses == [7.0, 4.0]
        refusals += [(500, {}, {})] * events.ATTEMPTS
        recorder.record(job(), NOTE)
        await sent(recorder, metrics, "failed", 1)
    assert refusals == []


async def test_a_full_outbox_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_WAITING", 2)
    metrics = Metrics()
    recorder = EventRecorder(Client(Fixed("http://127.0.0.1:1"), metrics.count_request), metrics, "me")
    for _ in range(3):
        recorder.record(job(), NOTE)
    assert metrics.registry.get_sample_value("compression_operator_events_total", {"outcome": "dropped"}) == 1


def test_an_event_about_a_review_regards_that_review() -> None:
    event = event_of(review(), NOTE, instance="me", now=NOW)
    assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("CompressionReview", "review-a")
    assert event["metadata"]["namespace"] == event["regarding"]["namespace"] == "default"


def test_an_event_is_about_its_job_and_the_same_words_have_the_same_name() -> None:
    first = event_of(job(), NOTE, instance="me", now=NOW)
    again = event_of(job(), NOTE, instance="you", now=NOW)
    other = event_of(job(), Note("Normal", "Started", "another"), instance="me", now=NOW)
    assert first["regarding"]["uid"] == UID
    assert first["eventTime"] == "2026-11-24T12:00:00.000000Z"
    assert first["metadata"]["name"] == again["metadata"]["name"]
    assert first["metadata"]["name"] != other["metadata"]["name"]
