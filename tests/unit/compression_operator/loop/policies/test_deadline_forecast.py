"""A missed deadline is predicted, and forecasts in the past are ignored."""

from datetime import datetime
from typing import Any

from compression_operator.loop.plan import ReconcilePlan
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
    pod,
    progress,
    running_pod,
    settle,
    stamp,
    summary,
    with_raw_status,
)

HOUR = {"spec__deadline": "1h"}


def ticking(**more: Any) -> Any:
    return child(**({"active": 1, "deadline": 3600, "start": stamp()} | more))


def seen(record: JobRecord, finish: float | None, now: datetime = NOW, **rest: Any) -> tuple[JobRecord, ReconcilePlan]:
    """Reconcile the running job, whose pod expects to be done ``finish`` seconds after NOW."""
    known = {"child": ticking(), "pods": (running_pod(),), "finish": None if finish is None else after(finish)}
    return settle(observe(record, **(known | rest)), now)


def kinds(plan: ReconcilePlan) -> list[str]:
    return [] if plan.status is None else [item["type"] for item in plan.status["conditions"]]


def test_the_deadline_of_a_job_that_runs_is_a_time() -> None:
    record, _ = seen(job(**HOUR), None)
    assert record.status().deadline_time == stamp(3600)
    assert record.status().expected_completion_time is None


def test_without_a_forecast_or_a_deadline_nothing_is_at_risk() -> None:
    assert "DeadlineAtRisk" not in kinds(seen(job(**HOUR), None)[1])
    record, plan = seen(job(), 9000, child=child(active=1, start=stamp()))
    assert "DeadlineAtRisk" not in kinds(plan)
    assert record.status().expected_completion_time == stamp(9000)


def test_a_forecast_after_the_deadline_warns_before_it() -> None:
    record, plan = seen(job(**HOUR), 3000)
    assert condition_of(plan, "DeadlineAtRisk")["status"] == "False"
    record, plan = seen(record, 4500, after(600))
    risk = condition_of(plan, "DeadlineAtRisk")
    assert (risk["status"], risk["reason"]) == ("True", "ForecastLate")
    assert f"expected at {stamp(4500)}, 15m0s after the deadline at {stamp(3600)}" in risk["message"]
    assert [note.reason for note in plan.events] == ["DeadlineAtRisk"]
    assert record.status().expected_completion_time == stamp(4500)


def test_risk_is_reported_once_and_does_not_flap() -> None:
    record, _ = seen(job(**HOUR), 4500)
    for finish in (4510, 3590, 3700, 3500):
        record, plan = seen(record, finish, after(600))
        assert not plan.events
        assert status_of_risk(record) == "True"
    record, plan = seen(record, 3300, after(600))
    assert condition_of(plan, "DeadlineAtRisk")["reason"] == "ForecastInTime"
    assert status_of_risk(record) == "False"


def status_of_risk(record: JobRecord) -> str:
    return next(item.status for item in record.status().conditions if item.type == "DeadlineAtRisk")


def test_small_forecast_changes_are_written_with_the_progress() -> None:
    record, _ = seen(job(**HOUR), 3000)
    assert seen(record, 3100, after(60))[1].status is None
    record, _ = seen(record, 3100, after(60), progress=progress("prune", 0.5))
    assert record.status().expected_completion_time == stamp(3100)


def test_past_forecast_is_ignored() -> None:
    record, plan = seen(job(**HOUR), 100)
    assert plan.requeue_after is not None
    assert plan.requeue_after <= 101
    record, _ = seen(record, 100, after(101))
    assert record.status().expected_completion_time is None


def test_waiting_or_suspended_pod_has_no_forecast() -> None:
    record, _ = seen(job(**HOUR), 3000)
    waits, _ = seen(record, None, pods=(pod(),))
    assert waits.status().expected_completion_time is None
    assert waits.status().deadline_time == stamp(3600)
    suspended = with_raw_status(job(spec__suspend=True, **HOUR), record.status().to_json())
    held, _ = seen(suspended, None, pods=(), child=ticking(suspend=True, active=0))
    assert (held.status().deadline_time, held.status().expected_completion_time) == (None, None)


def test_an_ended_job_is_not_at_risk() -> None:
    record, _ = seen(job(**HOUR), 4500)
    done = observe(record, child=complete(deadline=3600, start=stamp()), pods=(ended_pod(message=summary()),))
    record, plan = settle(done, after(700))
    assert condition_of(plan, "DeadlineAtRisk")["status"] == "False"
    assert (record.status().deadline_time, record.status().expected_completion_time) == (None, None)


def test_budget_does_not_change_the_deadline() -> None:
    clock = ticking(deadline=600, annotations={"compression-operator.io/deadline-seconds": "3600"})
    record, _ = seen(job(spec__budget="1", **HOUR), 3000, child=clock)
    assert record.status().deadline_time == stamp(3600)
    assert status_of_risk(record) == "False"
    assert reconcile(observe(record, child=clock, pods=(running_pod(),), finish=after(3000)), NOW).status is None
