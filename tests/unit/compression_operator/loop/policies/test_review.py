"""A result that waits for a review: held without a pod, then published, rejected or timed out."""

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from compression_operator.records.review import ReviewRecord
from tests.support.operator.builders import (
    NOW,
    REVIEWED_DIGEST,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    review,
    settle,
    summary,
    violation,
    with_status,
)
from tests.support.operator.pods import input_of, variables_of

DIGEST = REVIEWED_DIGEST


def waiting(verdict: str = "Pass", **changes: object) -> JobRecord:
    """A job whose pod has ended with a result that must be reviewed."""
    message = summary(verdict, published=False, held=True, digest=DIGEST, artifact="")
    observed = observe(job(spec__review="Always", **changes), child=complete(), pods=(ended_pod(message=message),))
    record, plan = settle(observed)
    assert plan.requeue_after == 0
    return record


def decided(*reviews: ReviewRecord, record: JobRecord | None = None, seconds: float = 120) -> JobRecord:
    """The job once these reviews were seen."""
    settled, _ = settle(observe(record or waiting(), reviews=reviews), after(seconds))
    return settled


def test_held_result_waits_without_a_pod() -> None:
    record = waiting()
    status = record.status()
    assert (record.phase, status.part, status.child_job) == ("AwaitingReview", "Publish", None)
    assert (status.verdict, status.digest, status.artifact) == ("Pass", DIGEST, "")
    (reviewed,) = [item for item in status.conditions if item.type == "Reviewed"]
    assert (reviewed.status, reviewed.reason) == ("Unknown", "AwaitingReview")
    assert not any(item.type == "Complete" for item in status.conditions)


def test_waiting_job_does_not_change_without_a_review() -> None:
    record = waiting()
    for seconds in (1, 3600, 86400 * 30):
        plan = reconcile(observe(record), after(seconds))
        assert plan.empty
        assert plan.requeue_after is None


def test_an_approval_starts_a_child_that_publishes_with_the_review() -> None:
    record = decided(review(reviewer="system:serviceaccount:ml:rita"))
    assert record.status().review is not None
    plan = reconcile(observe(record, reviews=(review(),)), after(130))
    assert plan.create is not None
    assert plan.create["metadata"]["name"] == record.child_name == "minilm-int8-0a1b2c3d-publish"
    assert plan.create["metadata"]["labels"]["compression-operator.io/part"] == "Publish"
    assert "activeDeadlineSeconds" not in plan.create["spec"]
    assert variables_of(plan.create)["COMPRESSION_PART"] == "Publish"
    outcome = input_of(plan.create)["review"]
    assert (outcome["reviewer"], outcome["decision"]) == ("system:serviceaccount:ml:rita", "Approve")
    assert outcome["reason"] == "looked at it"


@pytest.mark.parametrize(("verdict", "reason"), [
    ("Pass", "SLAMet"), ("Inconclusive", "PublishedAfterReview"), ("NoLimits", "PublishedWithoutLimits"),
])  # fmt: skip
def test_the_job_ends_well_once_its_result_is_published(verdict: str, reason: str) -> None:
    record = decided(review(), record=waiting(verdict))
    publishing = observe(record, child=child(part="Publish", uid="c-2"))
    record, plan = settle(publishing, after(131))
    satisfied = condition_of(plan, "SLASatisfied")["status"]
    assert satisfied == ("True" if verdict == "Pass" else "Unknown")  # the verdict is out, and stays
    message = summary(verdict, published=True, digest=DIGEST)
    done = observe(record, child=complete(part="Publish", uid="c-2"), pods=(ended_pod(message=message),))
    record, plan = settle(done, after(140))
    assert (record.phase, record.reason) == ("Succeeded", reason)
    status = record.status()
    assert status.review is not None
    assert status.review.reviewer == "rita"


def test_rejection_states_reviewer_and_reason() -> None:
    record = decided(review("Reject"))
    assert (record.phase, record.reason) == ("Failed", "ReviewRejected")
    assert "rita: looked at it" in record.status().message


def test_the_first_review_counts() -> None:
    record = decided(review("Approve", name="b", created=90), review("Reject", name="c", created=60))
    assert record.reason == "ReviewRejected"


@pytest.mark.parametrize("created", [-3600, -30, 60])
def test_clock_skew_does_not_invalidate_a_review(created: float) -> None:
    """The API server's clock stamps the review, and the operator's the condition: they may differ."""
    assert decided(review(created=created)).phase == "Running"


def test_a_review_that_was_made_before_the_verdict_counts_once_its_digest_is_there() -> None:
    early = review(created=-60)
    running, plan = settle(observe(job(spec__review="Always"), child=child(active=1), reviews=(early,)))
    assert running.status().review is None
    assert plan.create is None
    assert decided(early).phase == "Running"


OTHER = "sha256:" + "b" * 64
NOT_COUNTED = [
    (review(digest=OTHER), "1 review: review-a (its digest is that of another result)"),
    (review(job_uid="of-another"), "1 review: review-a (its jobUID is that of another job)"),
    (review(job_uid=""), "1 review: review-a (it has no spec.jobUID)"),
    (review(digest=""), "1 review: review-a (it has no spec.digest)"),
    (review(job_uid="", digest=""), "1 review: review-a (it has no spec.jobUID and spec.digest)"),
]


@pytest.mark.parametrize(("review", "why"), NOT_COUNTED, ids=[why for _, why in NOT_COUNTED])
def test_a_review_of_something_else_does_not_count_and_the_condition_says_so(review: ReviewRecord, why: str) -> None:
    record = decided(review)
    assert record.phase == "AwaitingReview"
    assert message_of(record).endswith(f"; not counted: {why}")
    again = reconcile(observe(record, reviews=(review,)), after(130))
    assert again.empty
    gone, _ = settle(observe(record), after(140))
    assert message_of(gone) == message_of(waiting())


def test_a_review_that_counts_decides_beside_many_that_do_not() -> None:
    old = [review("Reject", name=f"old-{number}", created=number, job_uid="") for number in range(5)]
    record = decided(*old)
    assert "; not counted: 5 reviews: old-0 (" in message_of(record)
    assert message_of(record).endswith("and 2 more")
    assert decided(*old, review(), record=record).phase == "Running"


def message_of(record: JobRecord) -> str:
    (reviewed,) = [item for item in record.status().conditions if item.type == "Reviewed"]
    return reviewed.message


@pytest.mark.parametrize(
    ("outcome", "phase", "reason"), [("Reject", "Failed", "ReviewTimedOut"), ("Approve", "Running", "")]
)
def test_timeout_decides_without_a_review(outcome: str, phase: str, reason: str) -> None:
    record = waiting(spec__reviewTimeout="2h", spec__onReviewTimeout=outcome)
    early = reconcile(observe(record), after(3600))
    assert (early.status, early.requeue_after) == (None, 3600)
    record = with_status(record, reconcile(observe(record), after(7200)))
    assert (record.phase, record.reason) == (phase, reason)
    decision = record.status().review
    assert decision is not None
    assert (decision.reviewer, decision.decision) == ("timeout", outcome)


def test_a_result_that_is_gone_ends_an_approved_job() -> None:
    record = decided(review())
    record, _ = settle(observe(record, child=child(part="Publish", uid="c-2")), after(131))
    gone = failed("PodFailurePolicy", part="Publish", uid="c-2", failed=1)
    pods = (ended_pod(code=2, message=violation("InvalidInput", "the result that was reviewed is gone")),)
    record, _ = settle(observe(record, child=gone, pods=pods), after(140))
    assert (record.phase, record.reason) == ("Failed", "InvalidInput")


def test_timeout_counts_from_the_request() -> None:
    (reviewed,) = [item for item in waiting().status().conditions if item.type == "Reviewed"]
    assert reviewed.last_transition_time == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
