"""Pending notifications in a status: written with their event, settled once, and never delaying a job."""

from dataclasses import replace
from typing import Any

from compression_operator.cache.observed_job import ObservedJob
from compression_operator.loop.job_events import updated_notifications
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.delivery import Delivery
from compression_operator.records.job import JobRecord
from compressionjob.conditions import Condition
from compressionjob.notifications import NOTIFICATION_EVENTS, Notification
from compressionjob.status import CompressionJobStatus
from tests.support.operator.builders import (
    NOW,
    SUCCEEDED,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    review,
    running_pod,
    settle,
    stamp,
    summary,
    with_raw_status,
    with_status,
)

EVERYTHING = {"ops": frozenset(NOTIFICATION_EVENTS)}


def chosen(*names: str, **options: Any) -> JobRecord:
    return job(spec__notifications=list(names), **options)


def owed(plan: ReconcilePlan) -> list[tuple[str, str, str]]:
    assert plan.status is not None
    return [(item["receiver"], item["event"], item["time"]) for item in plan.status.get("notifications", ())]


def seen(record: JobRecord, **rest: Any) -> ObservedJob:
    return observe(record, **{"receivers": EVERYTHING, **rest})


def test_each_event_is_pending_with_its_time() -> None:
    record = chosen("ops")
    steps: list[tuple[dict[str, Any], float]] = [
        ({"child": child()}, 0),
        ({"child": child(active=1), "pods": (running_pod(),)}, 5),
        ({"child": child(active=1), "pods": (running_pod(),)}, 7),
        ({"child": complete(), "pods": (ended_pod(message=summary()),)}, 60),
    ]
    for rest, seconds in steps:
        plan = reconcile(seen(record, **rest), after(seconds))
        record = with_status(record, plan)
    assert record.unsent == (
        ("ops", "Accepted", stamp(0)),
        ("ops", "Started", stamp(5)),
        ("ops", "Verdict", stamp(60)),
        ("ops", "Completed", stamp(60)),
    )
    assert reconcile(seen(record), after(90)) == ReconcilePlan()


def test_failure_event_needs_no_pod() -> None:
    refused = reconcile(seen(chosen("ops", spec__model__source="file:///etc")), NOW)
    assert owed(refused) == [("ops", "Failed", stamp())]
    late = reconcile(seen(chosen("ops"), child=failed("DeadlineExceeded")), NOW)
    assert [event for _, event, _ in owed(late)] == ["Accepted", "Failed"]


def test_receiver_gets_only_subscribed_events_of_its_jobs() -> None:
    receivers = {"ops": frozenset({"Completed"}), "ml": frozenset({"Verdict"}), "others": frozenset({"Completed"})}
    end: dict[str, Any] = {"child": complete(), "pods": (ended_pod(message=summary("Fail")),), "receivers": receivers}
    assert owed(reconcile(seen(chosen("ops", "ml"), **end), NOW)) == [("ml", "Verdict", stamp())]
    plan = reconcile(seen(job(), **end), NOW)
    assert owed(plan) == []
    assert plan.status is not None
    assert "ReceiversFound" not in [item["type"] for item in plan.status["conditions"]]


def test_receiver_added_later_gets_later_events() -> None:
    record, _ = settle(seen(chosen(), child=child(active=1), pods=(running_pod(),)))
    record = replace(record, receivers=("ops",))
    plan = reconcile(seen(record, child=child(active=1), pods=(running_pod(),)), NOW)
    assert owed(plan) == []
    plan = reconcile(seen(record, child=complete(), pods=(ended_pod(message=summary()),)), NOW)
    assert [event for _, event, _ in owed(plan)] == ["Verdict", "Completed"]


def test_each_wait_for_a_review_has_its_own_id() -> None:
    def status(reason: str, *notifications: Notification) -> CompressionJobStatus:
        reviewed = Condition(type="Reviewed", status="Unknown", reason=reason, last_transition_time=stamp())
        return CompressionJobStatus(conditions=[reviewed], notifications=list(notifications))

    def updated(before: CompressionJobStatus, after_: CompressionJobStatus, time: str) -> list[Notification]:
        return updated_notifications(before, after_, chosen=("ops",), subscriptions=EVERYTHING, time=time)

    (first,) = updated(CompressionJobStatus(), status("AwaitingReview"), stamp())
    assert (first.event, first.time) == ("AwaitingReview", stamp())
    assert updated(status("AwaitingReview", first), status("AwaitingReview", first), stamp(5)) == [first]
    (second,) = updated(status("Other", first), status("AwaitingReview", first), stamp(9))
    assert (second.event, second.time) == ("AwaitingReview", stamp(9))


def test_unknown_receiver_is_named_and_the_job_continues() -> None:
    record = chosen("ops", "opps")
    assert reconcile(seen(record), NOW).create is not None
    record, plan = settle(seen(record, child=child()))
    condition = condition_of(plan, "ReceiversFound")
    assert (condition["status"], condition["reason"]) == ("False", "ReceiverNotFound")
    assert "spec.notifications[1]: 'opps'" in condition["message"]
    assert "Name one of the platform team's (ops)" in condition["message"]
    assert [note.type for note in plan.events if note.reason == "ReceiverNotFound"] == ["Warning"]
    assert owed(plan) == [("ops", "Accepted", stamp())]
    record, plan = settle(seen(record, child=child(active=1), pods=(running_pod(),)))
    assert [note for note in plan.events if note.reason == "ReceiverNotFound"] == []
    both = {**EVERYTHING, "opps": frozenset({"Completed"})}
    _, plan = settle(seen(record, child=complete(), pods=(ended_pod(message=summary()),), receivers=both))
    assert condition_of(plan, "ReceiversFound")["reason"] == "AllFound"
    assert ("opps", "Completed", stamp()) in owed(plan)


def ended(*entries: dict[str, str], **options: Any) -> JobRecord:
    return with_raw_status(chosen("ops", **options), SUCCEEDED | {"notifications": list(entries)})


COMPLETED = {"receiver": "ops", "event": "Completed", "time": stamp()}
KEY = ("ops", "Completed", stamp())


def test_delivery_is_recorded_once() -> None:
    record, plan = settle(seen(ended(COMPLETED), deliveries=(Delivery(KEY, "Delivered", after(3)),)))
    assert plan.status is not None
    assert plan.status["notifications"] == [{**COMPLETED, "result": "Delivered", "resultTime": stamp(3)}]
    assert record.unsent == ()
    assert reconcile(seen(record, deliveries=(Delivery(KEY, "Delivered", after(9)),)), after(9)) == ReconcilePlan()


def test_drop_is_recorded_with_an_event() -> None:
    _, plan = settle(seen(ended(COMPLETED), deliveries=(Delivery(KEY, "Dropped", after(3), "answered 500"),)))
    assert plan.status is not None
    assert plan.status["notifications"][0]["result"] == "Dropped"
    assert [(note.type, note.reason, note.text) for note in plan.events] == [
        ("Warning", "NotificationDropped", "answered 500")
    ]


def test_outcome_of_another_notification_is_ignored() -> None:
    other = Delivery(("ops", "Completed", stamp(1)), "Delivered", after(3))
    assert reconcile(seen(ended(COMPLETED), deliveries=(other,)), after(3)) == ReconcilePlan()


def test_expired_job_is_kept_for_pending_notifications() -> None:
    record = ended(COMPLETED, spec__ttl="10s")
    assert reconcile(seen(record), after(11)) == ReconcilePlan(requeue_after=3599)
    assert reconcile(seen(record), after(3611)).delete
    assert reconcile(seen(record, deliveries=(Delivery(KEY, "Delivered", after(11)),)), after(11)).delete
    assert reconcile(seen(record, receivers={}), after(11)).delete


def test_a_status_of_a_later_version_is_read() -> None:
    record = ended({**COMPLETED, "event": "SomethingNew"})
    assert record.status().notifications[0].event == "SomethingNew"
    assert record.unsent == (("ops", "SomethingNew", stamp()),)


def test_verdict_implies_the_started_event() -> None:
    plan = reconcile(seen(chosen("ops"), child=complete(), pods=(ended_pod(message=summary()),)), NOW)
    assert [event for _, event, _ in owed(plan)] == ["Accepted", "Started", "Verdict", "Completed"]


def test_review_events_carry_the_verdict_and_the_end() -> None:
    held = (ended_pod(message=summary(published=False, held=True, digest=f"sha256:{'a' * 64}", artifact="")),)
    record, plan = settle(seen(chosen("ops", spec__review="Always"), child=complete(), pods=held))
    assert [event for _, event, _ in owed(plan)] == ["Accepted", "Started", "Verdict", "AwaitingReview"]
    _, plan = settle(seen(record, reviews=(review(decision="Reject"),)), after(120))
    assert owed(plan)[-1] == ("ops", "Failed", stamp(120))
    assert len(owed(plan)) == 5
