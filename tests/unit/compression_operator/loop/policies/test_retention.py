"""Files of an ended job are removed by a Job when their lifetime has passed, before the job expires."""

import json
from typing import Any

import pytest

from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from compressionjob.report import Summary
from compressionjob.retention import SpaceUsed
from tests.support.operator.builders import (
    SUCCEEDED,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    runtime,
    settle,
    stamp,
    summary,
    violation,
    with_raw_status,
)

HOUR = 3600
LIFETIMES = {"checkpoints": "1h", "reports": "3h"}
LAST_ATTEMPT = LIFETIMES | {"cleaning": ["checkpoints"], "attempts": 5}


def ended(retention: dict[str, Any] | None = None, **status: Any) -> JobRecord:
    """A job that ended at NOW, with files that have lifetimes."""
    full = SUCCEEDED | {"part": "Run", "retention": LIFETIMES | (retention or {}), "childrenCreated": 1}
    return with_raw_status(job(spec__ttl="2h"), full | status)


def cleaning(**status: Any) -> JobRecord:
    """The same while a Job removes its checkpoints."""
    return ended({"cleaning": ["checkpoints"]}, **status)


def written(plan: ReconcilePlan) -> dict[str, Any]:
    assert plan.status is not None
    retention: dict[str, Any] = dict(plan.status)["retention"]
    return {key: value for key, value in retention.items() if value}


def cleaner(retention: Any = child, *arguments: Any) -> Any:
    return retention(*arguments, part="Clean", uid="c-clean")


def test_lifetimes_are_fixed_when_the_first_job_is_created() -> None:
    on = runtime(retention={"default": {"checkpoints": "2h"}, "maximum": {"reports": "9h"}})
    record, plan = settle(observe(job(spec__retention={"checkpoints": "1h"}), on=on, child=child()))
    assert written(plan) == {"checkpoints": "1h", "reports": "9h"}
    later = reconcile(
        observe(record, on=runtime(retention={"default": {"checkpoints": "5h"}}), child=child()), after(9)
    )
    assert later.status is None or written(later) == written(plan)


def test_without_lifetimes_nothing_is_removed() -> None:
    plan = reconcile(observe(job(), child=child()), after(0))
    assert plan.status is not None
    assert "retention" not in plan.status
    assert reconcile(observe(with_raw_status(job(), SUCCEEDED)), after(10**8)) == ReconcilePlan()


def test_a_lifetime_that_the_runtime_does_not_allow_is_refused() -> None:
    on = runtime(retention={"maximum": {"checkpoints": "1h"}})
    plan = reconcile(observe(job(spec__retention={"checkpoints": "2h"}), on=on), after(0))
    assert "spec.retention.checkpoints" in condition_of(plan, "Accepted")["message"]
    assert "allows at most 1h" in condition_of(plan, "Failed")["message"]


def test_ended_job_is_requeued_for_its_first_lifetime() -> None:
    running = with_raw_status(job(), {"phase": "Running", "part": "Run", "retention": LIFETIMES, "childrenCreated": 1})
    plan = reconcile(observe(running, child=complete(), pods=(ended_pod(message=summary()),)), after(0))
    assert plan.requeue_after == HOUR


def test_before_its_lifetime_nothing_is_removed() -> None:
    assert reconcile(observe(ended()), after(HOUR - 1)) == ReconcilePlan(requeue_after=1)


def test_due_files_are_removed_by_a_cleaning_job() -> None:
    record, plan = settle(observe(ended()), after(HOUR))
    assert written(plan)["cleaning"] == ["checkpoints"]
    assert record.child_name.endswith("-clean")
    assert (record.cleaning, record.part) == (True, "Clean")
    created = reconcile(observe(record, known_jobs=(record.uid,)), after(HOUR)).create
    assert created is not None
    (container,) = created["spec"]["template"]["spec"]["containers"]
    assert {"name": "COMPRESSION_KNOWN_JOBS", "value": record.uid[:8]} in container["env"]
    assert created["metadata"]["labels"]["compression-operator.io/part"] == "Clean"
    assert created["metadata"]["ownerReferences"][0]["uid"] == record.uid


def test_the_status_keeps_the_part_that_an_older_operator_knows() -> None:
    """An operator from before retention reads no status whose part is Clean, neither meanwhile nor afterwards."""
    record, plan = settle(observe(ended()), after(HOUR))
    assert plan.status is not None
    assert (plan.status["part"], record.status().part) == ("Run", "Run")
    record, _ = settle(observe(record, child=cleaner()), after(HOUR))
    assert (record.part, record.status().part) == ("Clean", "Run")
    record, _ = settle(observe(record, child=cleaner(complete)), after(HOUR))
    assert (record.cleaning, record.part, record.status().part) == (False, "Run", "Run")


def test_end_of_the_cleaning_job_updates_the_space() -> None:
    text = Summary(part="Clean", space=SpaceUsed(checkpoint_bytes=5, result_bytes=7)).to_message()
    record, plan = settle(observe(cleaning(), child=cleaner(complete), pods=(ended_pod(message=text),)), after(HOUR))
    assert written(plan)["cleaned"] == ["checkpoints"]
    assert condition_of(plan, "CleanedUp")["message"] == (
        "removed: checkpoints; 5 bytes of checkpoints are kept for other jobs that use them"
    )
    assert [note.reason for note in plan.events] == ["FilesRemoved"]
    assert not record.cleaning
    assert record.status().space == SpaceUsed(checkpoint_bytes=5, result_bytes=7)
    assert reconcile(observe(record), after(HOUR)) == ReconcilePlan(requeue_after=2 * HOUR)


def test_a_second_lifetime_has_a_job_of_another_name() -> None:
    record = ended({"cleaned": ["checkpoints"], "attempts": 1, "lastAttemptTime": stamp(HOUR)})
    record, plan = settle(observe(record), after(3 * HOUR))
    assert written(plan)["cleaning"] == ["reports"]
    assert record.child_name.endswith("-clean-1")


def test_the_job_itself_waits_for_the_removal_of_its_files() -> None:
    assert not reconcile(observe(ended()), after(2 * HOUR)).delete
    done = ended({"cleaned": ["checkpoints", "reports"], "attempts": 2})
    assert reconcile(observe(done), after(2 * HOUR)).delete


def test_checkpoints_wait_while_another_job_shares_them_but_not_for_ever() -> None:
    record, plan = settle(observe(ended(), checkpoint_user="default/other"), after(HOUR))
    assert not record.cleaning
    assert "default/other shares the folder" in condition_of(plan, "CleanedUp")["message"]
    assert plan.requeue_after == 300
    later, _ = settle(observe(record, checkpoint_user="default/other"), after(4 * HOUR))
    assert later.status().retention is not None
    assert later.status().retention.cleaning == ["reports"]
    week = 7 * 24 * HOUR
    assert settle(observe(ended(), checkpoint_user="default/other"), after(HOUR + week))[0].cleaning


def test_failed_removal_is_retried_and_finally_given_up() -> None:
    pods = (ended_pod(code=2, message=violation("InvalidInput", "the folder is damaged")),)
    record = cleaning()
    now = HOUR
    for attempt in range(6):
        ends = observe(record, child=cleaner(failed, "BackoffLimitExceeded"), pods=pods)
        record, plan = settle(ends, after(now))
        assert "the folder is damaged" in condition_of(plan, "CleanedUp")["message"]
        if attempt < 5:
            wait = reconcile(observe(record), after(now)).requeue_after
            assert wait is not None
            # Reports, which become due on the way, wait for the same moment.
            now += 2**attempt * HOUR
            record, plan = settle(observe(record), after(now))
            assert record.cleaning
    assert record.status().retention is not None
    assert record.status().retention.given_up
    assert reconcile(observe(record), after(now)).delete


@pytest.mark.parametrize("missing", [True, False])
def test_a_removal_that_cannot_start_says_why_and_is_given_up_after_a_week(missing: bool) -> None:
    seen = observe(cleaning(), without_runtime=missing, on=None if missing else runtime(image=""))
    plan = reconcile(seen, after(HOUR))
    assert "CompressionRuntime 'cpu' is missing or not valid" in condition_of(plan, "CleanedUp")["message"]
    assert plan.create is None
    assert written(reconcile(seen, after(HOUR + 15 * 24 * HOUR)))["givenUp"]


def test_a_removal_that_begins_late_is_not_given_up_at_once() -> None:
    """The operator was away for a month: its timeout counts from the creation of the Job."""
    late = 30 * 24 * HOUR
    waiting = child(part="Clean", uid="c-clean", created=stamp(late))
    plan = reconcile(observe(cleaning(), child=waiting), after(late + 60))
    assert plan.status is None or not written(plan).get("givenUp")
    assert plan.requeue_after


def test_a_removal_whose_job_is_suspended_ends_after_an_hour_and_is_tried_again() -> None:
    """As by a queue that takes Jobs without a label: it would keep the destination from other jobs for days."""
    record, suspended = (
        cleaning(childJob={"name": "x", "uid": "c-clean"}),
        child(part="Clean", uid="c-clean", suspend=True),
    )
    assert suspended.suspended
    waits = reconcile(observe(record, child=suspended), after(HOUR - 1))
    assert (waits.delete_child, waits.status) == (None, None)
    later, plan = settle(observe(record, child=suspended), after(HOUR))
    assert plan.delete_child is suspended
    assert "removal of checkpoints failed: the Job" in condition_of(plan, "CleanedUp")["message"]
    assert "was suspended for 1 h" in condition_of(plan, "CleanedUp")["message"]
    assert not later.cleaning
    assert reconcile(observe(later), after(HOUR)).requeue_after == HOUR
    record = with_raw_status(record, {**json.loads(record.status_json), "retention": LAST_ATTEMPT})
    last = settle(observe(record, child=suspended), after(HOUR))[1]
    assert written(last)["givenUp"]
    assert "remove them by hand" in condition_of(last, "CleanedUp")["message"]


def test_a_job_that_does_not_come_to_its_end_is_deleted_when_it_is_given_up() -> None:
    """Otherwise it could begin to remove files when nothing waits for its end any more."""
    plan = reconcile(observe(cleaning(), child=cleaner()), after(8 * 24 * HOUR))
    assert written(plan)["givenUp"]
    assert plan.delete_child is not None


def test_deleted_cleaning_job_is_created_again_later() -> None:
    record = cleaning(childJob={"name": "x-clean", "uid": "c-clean"})
    assert reconcile(observe(record), after(HOUR)).confirm
    plan = reconcile(observe(record, confirmed=True), after(HOUR))
    assert "was deleted before its end" in condition_of(plan, "CleanedUp")["message"]
    assert "cleaning" not in written(plan)


def test_the_phase_of_the_job_stays_as_it_ended() -> None:
    record = cleaning()
    for seen in (observe(record), observe(record, child=cleaner()), observe(record, child=cleaner(complete))):
        plan = reconcile(seen, after(HOUR))
        assert plan.status is None or plan.status["phase"] == "Succeeded"
