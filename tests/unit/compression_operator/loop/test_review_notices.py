"""A review that does not count says why in an Event about itself, once."""

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
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.notes: list[tuple[Subject, Note]] = []

    def record(self, subject: Subject, note: Note) -> None:
        self.notes.append((subject, note))


class Cluster:
    """A cache, and what reviewers are told about its reviews."""

    def __init__(self) -> None:
        self.outbox, self.queue, self.version = Outbox(), WorkQueue(), 1000
        self.cache = Cache(lambda _: None)
        self.cache.reviews.looked = self.queue.add
        self.notices = ReviewNotices(self.cache, self.outbox, self.queue)

    def put_job(self, status: Mapping[str, Any], **options: Any) -> None:
        self.version += 1
        raw = raw_job(status=dict(status), **options)
        raw["metadata"]["resourceVersion"] = str(self.version)
        self.cache.put(COMPRESSION_JOBS, raw)

    def put_review(self, **options: Any) -> None:
        self.cache.put(REVIEWS, raw_review(**options))

    async def told(self) -> list[str]:
        """What has been told once the queue is empty, as type and text."""
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
async def test_a_review_that_does_not_count_says_why(status: dict[str, Any], review: dict[str, Any], text: str) -> None:
    cluster = Cluster()
    cluster.put_job(status)
    cluster.put_review(**review)
    (told,) = await cluster.told()
    assert told.startswith(text)


async def test_a_review_of_no_job_says_so_and_counts_once_there_is_one() -> None:
    cluster = Cluster()
    cluster.put_review()
    assert await cluster.told() == [
        "Warning: there is no CompressionJob minilm-int8 in the namespace default: check spec.job"
    ]
    cluster.put_job(AWAITS)
    assert len(await cluster.told()) == 1


async def test_each_cause_is_told_once() -> None:
    cluster = Cluster()
    cluster.put_job({"phase": "Running"})
    cluster.put_review(digest=OTHER)
    for _ in range(3):
        cluster.put_job({"phase": "Running"})
        assert len(await cluster.told()) == 1
    for _ in range(3):
        cluster.put_job(AWAITS)
        assert len(await cluster.told()) == 2
    cluster.put_review(name="review-b", digest=OTHER)
    assert len(await cluster.told()) == 3


@pytest.mark.parametrize(
    "status", [AWAITS, {"phase": "Succeeded", "review": DECIDED | {"name": "review-a"}}], ids=["awaits", "has decided"]
)
async def test_a_review_that_counts_is_told_nothing(status: dict[str, Any]) -> None:
    cluster = Cluster()
    cluster.put_job(status)
    cluster.put_review()
    assert await cluster.told() == []


async def test_a_status_that_cannot_be_read_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.put_job({"phase": "Succeeded", "retries": "many"})
    cluster.put_review()
    assert await cluster.told() == []
    assert "this is a bug" in caplog.text
    cluster.put_job(AWAITS)
    cluster.put_review(name="review-b", digest=OTHER)
    assert len(await cluster.told()) == 1


async def test_a_job_that_is_being_deleted_takes_its_reviews_with_it() -> None:
    cluster = Cluster()
    cluster.put_review(digest=OTHER)
    cluster.put_job(AWAITS, deleting=True)
    assert await cluster.told() == []
