"""After a review, exactly the judged result is published, and the pod's summary does not change the status."""

from typing import Any

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    job,
    observe,
    settle,
    summary,
    with_raw_status,
)
from tests.support.operator.pods import input_of

DIGEST, CHECKPOINT, REPORT = "sha256:" + "a" * 64, "c" * 40, "sha256:" + "d" * 64


def approved() -> JobRecord:
    """A job that was judged and approved, and whose next part is to publish."""
    held = summary(published=False, held=True, digest=DIGEST, checkpoint=CHECKPOINT, report_digest=REPORT, artifact="")
    record, _ = settle(observe(job(spec__review="Always"), child=complete(), pods=(ended_pod(message=held),)))
    status = record.status().to_json()
    for condition in status["conditions"]:
        if condition["type"] == "Reviewed":
            condition |= {"status": "True", "reason": "Approved"}
    outcome = {"reviewer": "rita", "decision": "Approve", "reason": "looked at it", "time": "2026-11-24T12:01:00Z"}
    return with_raw_status(record, status | {"review": outcome, "phase": "Running"})


def published(**fields: Any) -> tuple[JobRecord, JobRecord, dict[str, Any]]:
    """The job before and after its pod has published and said so, and its condition Failed or Complete."""
    record, _ = settle(observe(approved(), child=child(part="Publish", uid="c-2")), after(131))
    full = {"verdict": "Pass", "published": True, "digest": DIGEST, "artifact": "s3://models/minilm-int8"} | fields
    done = observe(record, child=complete(part="Publish", uid="c-2"), pods=(ended_pod(message=summary(**full)),))
    ended, plan = settle(done, after(140))
    return record, ended, condition_of(plan, "Complete")


def test_publishing_pod_gets_the_judged_result() -> None:
    plan = reconcile(observe(approved()), NOW)
    assert plan.create is not None
    judged = {"digest": DIGEST, "checkpoint": CHECKPOINT, "reportDigest": REPORT}
    assert input_of(plan.create)["judged"] == judged


def test_judged_result_is_published() -> None:
    _, ended, complete_ = published()
    assert (ended.phase, complete_["reason"]) == ("Succeeded", "SLAMet")
    assert (ended.status().artifact, ended.status().digest) == ("s3://models/minilm-int8", DIGEST)


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "sha256:" + "b" * 64},
        {"verdict": "Fail"},
        {"published": False},
        {"digest": ""},
    ],
)
def test_different_published_result_fails_the_job(fields: dict[str, Any]) -> None:
    before, ended, condition = published(**fields, sentence="all is well", confidence=0.99)
    assert (ended.phase, ended.reason) == ("Failed", "ResultChanged")
    for field in ("digest", "verdict", "confidence", "checkpoint", "report_digest", "artifact", "objectives"):
        assert getattr(ended.status(), field) == getattr(before.status(), field), field
    assert "do not use the model at the destination" in condition["message"]


def test_judged_figures_are_not_replaced() -> None:
    before, ended, _ = published(sentence="much better", fallback="", confidence=0.5)
    assert ended.status().confidence == before.status().confidence
    assert "much better" not in ended.status().message


def test_publication_without_a_summary_is_repeated() -> None:
    record, _ = settle(observe(approved(), child=child(part="Publish", uid="c-2")), after(131))
    record, _ = settle(observe(record, child=complete(part="Publish", uid="c-2"), confirmed=True), after(140))
    assert (record.phase, record.status().part, record.status().restarts) == ("Pending", "Publish", 1)
    plan = reconcile(observe(record), after(141))
    assert plan.create is not None
    assert plan.create["metadata"]["name"] == "minilm-int8-0a1b2c3d-publish-1"
