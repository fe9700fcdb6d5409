"""A review that does not count gets one Event with the reason."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, REVIEWS
from compression_operator.loop.review_notices import ReviewNotices
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.event_recorder import EventRecorder, Subject
from compression_operator.telemetry.notes import Note
from tests.support.operator.builders import REVIEWED_DIGEST, UID, raw_job, raw_review, stamp
from tests.support.operator.control_loop import until

AWAITS = {
    "phase": "AwaitingReview",
    "digest": REVIEWED_DIGEST,
    "conditions": [
        {"type": "Reviewed", "status": "Unknown", "reason": "AwaitingReview", "lastTransitionTime": stamp(30)}
    ],
}
DECIDED = {"name": "another", "reviewer": "ron", "decision": "Reject", "reason": "no", "time": "2026-11-24T12:00:00Z"}
OTHER = "sha256:" + "b" * 64


class Outbox(EventRecorder):
    """Keeps the Events."""

    def __init__(self) -> None:
        self.notes: list[tuple[Subject, Note]] = []

    def record(self, subject: Subject, note: Note) -> None:
        self.notes.append((subject, note))


class Cluster:
    """A cache, and the Events about its reviews."""

    def __init__(self) -> None:
        self.outbox, self.queue, self.version = Outbox(), WorkQueue(), 1000
        self.cache = Cache(lambda _: None)
        self.cache.reviews.changed = self.queue.add
        self.notices = ReviewNotices(self.cache, self.outbox, self.queue)

    def put_job(self, status: Mapping[str, Any], **options: Any) -> None:
        self.version += 1
        raw = raw_job(status=dict(status), **options)
        raw["metadata"]["resourceVersion"] = str(self.version)
        self.cache.put(COMPRESSION_JOBS, raw)

    def put_review(self, **options: Any) -> None:
        self.cache.put(REVIEWS, raw_review(**options))

    async def reported(self) -> list[str]:
        """Return type and text of all Events once the queue is empty."""
        running = asyncio.create_task(self.notices.run())
        await until(lambda: not len(self.queue))
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert all(subject.name.startswith("review") for subject, _ in self.outbox.notes)
        assert {note.reason for _, note in self.outbox.notes} <= {"ReviewIgnored"}
        return [f"{note.type}: {note.text}" for _, note in self.outbox.notes]


CASES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (AWAITS, {"job_uid": "another"}, f"Warning: spec.jobUID is another, and the job minilm-int8 has the uid {UID}"),
    (
        AWAITS,
        {"digest": OTHER},
        f"Warning: spec.digest is {OTHER}, and the job minilm-int8 awaits a review of sha256:aa",
    ),
    (
        AWAITS,
        {"job_uid": ""},
        "Warning: it has no spec.jobUID, which older versions did not require: delete it and make ",
    ),
    (AWAITS, {"job_uid": "", "digest": ""}, "Warning: it has no spec.jobUID and spec.digest, which older"),
    ({"phase": "Running"}, {}, "Normal: the job minilm-int8 awaits no review yet: it is Running"),
    (
        {"phase": "Running", "review": DECIDED},
        {},
        "Warning: the job minilm-int8 awaits no review: Reject of ron has dec",
    ),
    ({"phase": "Succeeded"}, {}, "Warning: the job minilm-int8 awaits no review: it has ended with Succeeded"),
]


@pytest.mark.parametrize(("status", "review", "text"), CASES, ids=[text[:60] for _, _, text in CASES])
async def test_ignored_review_gets_an_event(status: dict[str, Any], review: dict[str, Any], text: str) -> None:
    cluster = Cluster()
    cluster.put_job(status)
    cluster.put_review(**review)
    (reported,) = await cluster.reported()
    assert reported.startswith(text)


async def test_review_without_a_job_counts_once_the_job_exists() -> None:
    cluster = Cluster()
    cluster.put_review()
    assert await cluster.reported() == [
        "Warning: there is no CompressionJob minilm-int8 in the namespace default: check spec.job"
    ]
    cluster.put_job(AWAITS)
    assert len(await cluster.reported()) == 1


async def test_each_cause_is_reported_once() -> None:
    cluster = Cluster()
    cluster.put_job({"phase": "Running"})
    cluster.put_review(digest=OTHER)
    for _ in range(3):
        cluster.put_job({"phase": "Running"})
        assert len(await cluster.reported()) == 1
    for _ in range(3):
        cluster.put_job(AWAITS)
        assert len(await cluster.reported()) == 2
    cluster.put_review(name="review-b", digest=OTHER)
    assert len(await cluster.reported()) == 3


@pytest.mark.parametrize(
    "status", [AWAITS, {"phase": "Succeeded", "review": DECIDED | {"name": "review-a"}}], ids=["awaits", "has decided"]
)
async def test_valid_review_gets_no_event(status: dict[str, Any]) -> None:
    cluster = Cluster()
    cluster.put_job(status)
    cluster.put_review()
    assert await cluster.reported() == []


async def test_unreadable_status_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.put_job({"phase": "Succeeded", "retries": "many"})
    cluster.put_review()
    assert await cluster.reported() == []
    assert "this is a bug" in caplog.text
    cluster.put_job(AWAITS)
    cluster.put_review(name="review-b", digest=OTHER)
    assert len(await cluster.reported()) == 1


async def test_reviews_of_a_deleting_job_get_no_event() -> None:
    cluster = Cluster()
    cluster.put_review(digest=OTHER)
    cluster.put_job(AWAITS, deleting=True)
    assert await cluster.reported() == []
