"""A job has one child, which is replaced after a deletion within its retries."""

from dataclasses import replace

import pytest

from compression_operator.cache.writers import Writer
from compression_operator.loop.reconcile import reconcile
from tests.support.operator.builders import (
    NOW,
    UID,
    after,
    child,
    condition_of,
    job,
    observe,
    running_pod,
    settle,
    stamp,
    with_raw_status,
)

ADOPTED = {"childJob": {"name": "minilm-int8-0a1b2c3d", "uid": "gone"}, "childrenCreated": 1}


def test_an_accepted_job_gets_a_child_and_no_status_before_it_exists() -> None:
    plan = reconcile(observe(), NOW)
    assert plan.create is not None
    assert plan.create["metadata"]["name"] == "minilm-int8-0a1b2c3d"
    assert (plan.status, plan.events) == (None, ())


def test_the_child_is_noted_with_one_status_write() -> None:
    record, plan = settle(observe(child=child()))
    assert plan.create is None
    assert plan.status is not None
    assert plan.status["childJob"]["name"] == "minilm-int8-0a1b2c3d"
    assert plan.status["childrenCreated"] == 1
    assert condition_of(plan, "Accepted")["status"] == "True"
    assert [note.reason for note in plan.events] == ["Started"]
    assert reconcile(observe(record, child=child()), NOW).empty


def test_an_event_warns_once_of_a_job_without_limits() -> None:
    record, plan = settle(observe(job(**{"spec.sla": {"confidence": "0.9"}}), child=child()))
    assert [(note.type, note.reason) for note in plan.events] == [("Warning", "NoLimits"), ("Normal", "Started")]
    assert "spec.sla sets no limits" in plan.events[0].text
    _, plan = settle(observe(record, child=child(uid="new")))
    assert "NoLimits" not in [note.reason for note in plan.events]


def test_missing_child_is_confirmed_before_it_is_replaced() -> None:
    record = with_raw_status(job(), ADOPTED)
    plan = reconcile(observe(record), NOW)
    assert plan.confirm
    assert plan.create is None


def test_lost_child_is_replaced_and_counts_as_a_retry() -> None:
    record = with_raw_status(job(), ADOPTED | {"retries": 1})
    plan = reconcile(observe(record, confirmed=True), NOW)
    assert plan.create is not None
    assert plan.create["spec"]["backoffLimit"] == 1
    assert plan.create["metadata"]["annotations"]["compression-operator.io/retries-before"] == "2"
    record, plan = settle(observe(record, child=child(uid="new", retries_before=2)))
    assert plan.status is not None
    assert (plan.status["childrenCreated"], plan.status["retries"]) == (2, 2)
    assert [note.reason for note in plan.events] == ["Recreated"]


def test_a_child_lost_too_often_ends_the_job() -> None:
    record = with_raw_status(job(), ADOPTED | {"retries": 3})
    record, plan = settle(observe(record, confirmed=True))
    assert plan.create is None
    assert condition_of(plan, "Failed")["reason"] == "ChildLost"
    assert reconcile(observe(record, confirmed=True), NOW).empty


def test_an_ended_job_never_gets_another_child() -> None:
    for phase in ("Succeeded", "Failed"):
        plan = reconcile(observe(with_raw_status(job(), ADOPTED | {"phase": phase}), confirmed=True), NOW)
        assert (plan.create, plan.confirm) == (None, False)


def test_job_of_another_owner_is_not_adopted() -> None:
    record, plan = settle(observe(foreign_child=child(owner="another")))
    assert plan.create is None
    assert condition_of(plan, "Failed")["reason"] == "ChildConflict"
    assert record.phase == "Failed"


def test_stranger_is_deleted_before_the_child_is_created() -> None:
    forged = child(uid="forged")
    plan = reconcile(observe(stranger=forged), NOW)
    assert (plan.delete_child, plan.create, plan.status) == (forged, None, None)
    assert [note.reason for note in plan.events] == ["StrangerDeleted"]


def test_job_waits_for_a_destination_and_names_its_user() -> None:
    other = Writer("p", "Pod", "first-abc", 1, "another", "default", "first", ("s3/x/models/minilm-int8",))
    record, plan = settle(observe(blocker=other))
    assert plan.create is None
    assert (record.phase, record.reason) == ("Pending", "DestinationInUse")
    assert "spec.output.destination (s3://" in record.status().message
    assert "pods of the CompressionJob first may write there" in record.status().message
    assert [note.reason for note in plan.events] == ["Waiting"]
    again = reconcile(observe(record, blocker=other), NOW)
    assert again.empty
    assert reconcile(observe(record), NOW).create is not None
    elsewhere = replace(other, namespace="team-b")
    assert "first" not in settle(observe(blocker=elsewhere))[0].status().message


def test_job_waits_for_an_earlier_pod() -> None:
    left = Writer("p", "Pod", "minilm-int8-xyz", 1, UID, "default", "minilm-int8", ())
    record, _ = settle(observe(with_raw_status(job(), ADOPTED), blocker=left, confirmed=True))
    assert (record.phase, record.reason) == ("Pending", "PodsLeft")
    assert "kubectl delete pod minilm-int8-xyz" in record.status().message


def test_deleting_job_gets_an_empty_plan() -> None:
    assert reconcile(observe(job(deleting=True)), NOW).empty
    assert reconcile(observe(job(deleting=True), child=child(active=1), pods=(running_pod(),)), NOW).empty


@pytest.mark.parametrize(("used", "left"), [(0, 7200), (600, 6600), (9000, 1)])
def test_replaced_child_gets_the_rest_of_the_deadline(used: int, left: int) -> None:
    before = ADOPTED | {"startTime": stamp(), "activeTime": {"seconds": used}}
    plan = reconcile(observe(with_raw_status(job(spec__deadline="2h"), before), confirmed=True), after(20_000))
    assert plan.create is not None
    assert plan.create["spec"]["activeDeadlineSeconds"] == left


def test_the_deadline_of_a_job_is_its_childs() -> None:
    plan = reconcile(observe(job(spec__deadline="90s")), NOW)
    assert plan.create is not None
    assert plan.create["spec"]["activeDeadlineSeconds"] == 90
