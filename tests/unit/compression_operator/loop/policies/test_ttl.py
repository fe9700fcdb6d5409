"""An ended job is deleted after its ttl."""

import pytest

from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.reconcile import reconcile
from tests.support.operator.builders import (
    NOW,
    SUCCEEDED,
    after,
    complete,
    ended_pod,
    job,
    observe,
    summary,
    with_raw_status,
)


def test_without_a_ttl_an_ended_job_is_kept_for_ever() -> None:
    assert reconcile(observe(with_raw_status(job(), SUCCEEDED)), after(10**8)) == ReconcilePlan()


@pytest.mark.parametrize(("elapsed", "left"), [(0, 3600), (3599, 1)])
def test_job_is_requeued_for_its_ttl(elapsed: int, left: int) -> None:
    plan = reconcile(observe(with_raw_status(job(spec__ttl="1h"), SUCCEEDED)), after(elapsed))
    assert plan == ReconcilePlan(requeue_after=left)


def test_afterwards_it_is_deleted() -> None:
    plan = reconcile(observe(with_raw_status(job(spec__ttl="1h"), SUCCEEDED)), after(3600))
    assert plan.delete
    assert [note.reason for note in plan.events] == ["Expired"]


def test_end_requeues_the_job_for_its_deletion() -> None:
    pods = (ended_pod(message=summary()),)
    plan = reconcile(observe(job(spec__ttl="1h"), child=complete(), pods=pods), NOW)
    assert plan.status is not None
    assert plan.status["phase"] == "Succeeded"
    assert plan.requeue_after == 3600


def test_a_job_that_runs_does_not_expire() -> None:
    assert not reconcile(observe(job(spec__ttl="1s")), after(10**6)).delete


def test_a_changed_ttl_is_acknowledged() -> None:
    record = with_raw_status(job(spec__ttl="1h"), SUCCEEDED, generation=2)
    plan = reconcile(observe(record), NOW)
    assert plan.status is not None
    assert plan.status["observedGeneration"] == 2
