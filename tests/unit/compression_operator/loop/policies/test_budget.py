"""A budget ends a job before it is exceeded, by the child's own clock."""

from typing import Any

import pytest

from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    running_pod,
    runtime,
    settle,
    stamp,
    with_raw_status,
)

PRICE = "compression-operator.io/price-per-hour"
DEADLINE = "compression-operator.io/deadline-seconds"
PRICED = {PRICE: "3.6"}
"""A thousandth for each second: a budget of 1 lasts 1000 seconds, 30 of which are kept for the pod's end."""
GPU = runtime(pricePerHour="3.6")


def created(**spec: Any) -> dict[str, Any]:
    """The child that a job gets."""
    plan = reconcile(observe(job(**spec), on=GPU), NOW)
    assert plan.create is not None
    return dict(plan.create)


def looked(record: JobRecord, seconds: float, **seen: Any) -> ReconcilePlan:
    return reconcile(observe(record, on=GPU, **seen), after(seconds))


def adopted(record: JobRecord, **seen: Any) -> JobRecord:
    return settle(observe(record, on=GPU, **seen))[0]


def ticking(clock: int, deadline: str = "none", **more: Any) -> Any:
    """The child with a clock that runs since NOW."""
    return child(active=1, deadline=clock, start=stamp(), annotations=PRICED | {DEADLINE: deadline}, **more)


def test_a_child_may_run_as_long_as_the_budget_lasts() -> None:
    manifest = created(spec__budget="1")
    assert manifest["spec"]["activeDeadlineSeconds"] == 970
    expected = PRICED | {DEADLINE: "none", "compression-operator.io/runtime": "cpu"}
    assert expected.items() <= manifest["metadata"]["annotations"].items()
    assert manifest["spec"]["template"]["metadata"]["annotations"][PRICE] == "3.6"
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert {"name": "COMPRESSION_PRICE_PER_HOUR", "value": "3.6"} in container["env"]


@pytest.mark.parametrize(("deadline", "clock", "noted"), [("10m", 600, "600"), ("2h", 970, "7200")])
def test_clock_is_the_earlier_of_deadline_and_budget(deadline: str, clock: int, noted: str) -> None:
    manifest = created(spec__budget="1", spec__deadline=deadline)
    assert manifest["spec"]["activeDeadlineSeconds"] == clock
    assert manifest["metadata"]["annotations"][DEADLINE] == noted


def test_small_budget_reserves_only_a_share_for_the_end() -> None:
    assert created(spec__budget="0.1")["spec"]["activeDeadlineSeconds"] == 90


def test_a_job_without_a_budget_has_its_deadline_alone() -> None:
    manifest = created(spec__deadline="10m")
    assert manifest["spec"]["activeDeadlineSeconds"] == 600
    assert manifest["metadata"]["annotations"][DEADLINE] == "600"
    assert DEADLINE not in created()["metadata"]["annotations"]


def test_waiting_is_free_and_moves_the_clock() -> None:
    record = adopted(job(spec__budget="1"), child=ticking(970))
    assert looked(record, 50, child=ticking(970)).patch_child is None
    plan = looked(record, 400, child=ticking(970))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 1370}}
    assert plan.requeue_after is not None
    assert plan.requeue_after < 400


def test_when_the_pod_starts_the_clock_is_set_to_the_second() -> None:
    record = adopted(job(spec__budget="1"), child=ticking(970))
    pod = running_pod(start=60, annotations=PRICED)
    assert looked(record, 60, child=ticking(970), pods=(pod,)).patch_child == {"spec": {"activeDeadlineSeconds": 1030}}
    for seconds in (61, 500, 1029):
        assert looked(record, seconds, child=ticking(1030), pods=(pod,)).patch_child is None


def test_job_is_requeued_for_the_end_of_the_budget() -> None:
    record = adopted(job(spec__budget="1"), child=ticking(970))
    plan = looked(record, 900, child=ticking(970), pods=(running_pod(annotations=PRICED),))
    assert plan.requeue_after == 70


def test_usage_of_earlier_pods_reduces_the_clock() -> None:
    first = ended_pod("a", code=4, end=500, annotations=PRICED)
    record = settle(observe(job(spec__budget="1"), on=GPU, child=ticking(970), pods=(first,)), after(500))[0]
    second = running_pod("b", created=505, start=510, annotations=PRICED)
    plan = looked(record, 510, child=ticking(970), pods=(first, second))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 510 + 470}}


def test_a_clock_that_runs_too_long_is_shortened() -> None:
    record = adopted(job(spec__budget="1"), child=ticking(970))
    pod = running_pod(annotations=PRICED)
    assert looked(record, 10, child=ticking(5000), pods=(pod,)).patch_child == {"spec": {"activeDeadlineSeconds": 970}}
    overdue = looked(record, 2000, child=ticking(5000), pods=(pod,))
    assert overdue.patch_child == {"spec": {"activeDeadlineSeconds": 970}}


def test_the_clock_never_runs_beyond_the_deadline() -> None:
    record = adopted(job(spec__budget="1", spec__deadline="1000s"), child=ticking(970, "1000"))
    plan = looked(record, 600, child=ticking(970, "1000"))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 1000}}
    assert looked(record, 700, child=ticking(1000, "1000")).patch_child is None


def test_suspension_keeps_deadline_and_budget() -> None:
    running = with_raw_status(job(spec__budget="1", spec__deadline="1h", spec__suspend=True), {"phase": "Running"})
    pod = running_pod(annotations=PRICED)
    running, plan = settle(observe(running, on=GPU, child=ticking(970, "3600"), pods=(pod,)), after(400))
    assert plan.patch_child == {"spec": {"suspend": True}}
    over = ended_pod(code=143, end=400, annotations=PRICED)
    stopped = {"suspend": True, "start": stamp(), "condition": ("Suspended", "", ""), "since": stamp(400)}
    held = child(deadline=970, annotations=PRICED | {DEADLINE: "3600"}, **stopped)
    paused, plan = settle(observe(running, on=GPU, child=held, pods=(over,)), after(410))
    assert plan.patch_child == {
        "spec": {"activeDeadlineSeconds": 970},
        "metadata": {"annotations": {DEADLINE: "3200"}},
    }
    assert (paused.phase, paused.status().cost) == ("Suspended", "0.4000")
    held = child(deadline=970, annotations=PRICED | {DEADLINE: "3200"}, **stopped)
    resumed = with_raw_status(job(spec__budget="1", spec__deadline="1h"), paused.status().to_json())
    assert looked(resumed, 90_000, child=held).patch_child == {"spec": {"suspend": False}}
    again = child(deadline=970, start=stamp(90_000), annotations=PRICED | {DEADLINE: "3200"})
    assert looked(resumed, 90_000, child=again).patch_child == {"spec": {"activeDeadlineSeconds": 570}}


def test_exceeded_budget_states_usage_and_remedy() -> None:
    record = adopted(job(spec__budget="1"), child=ticking(970), pods=(running_pod(annotations=PRICED),))
    ended = failed(
        "DeadlineExceeded", deadline=970, start=stamp(), since=stamp(972), annotations=PRICED | {DEADLINE: "none"}
    )
    record, plan = settle(observe(record, on=GPU, child=ended), after(980))
    assert (record.phase, record.reason) == ("Failed", "BudgetExceeded")
    message = condition_of(plan, "Failed")["message"]
    assert "spec.budget (1) would be exceeded: 0.9720 was used" in message
    assert "larger budget" in message
    assert "checkpoints are kept" in message
    assert record.status().cost == "0.9720"


@pytest.mark.parametrize(
    ("budget", "clock", "noted", "reason"),
    [
        ("1", 970, "3600", "BudgetExceeded"),
        ("1", 600, "600", "DeadlineExceeded"),
        (None, 600, None, "DeadlineExceeded"),
    ],
)
def test_budget_and_deadline_have_own_reasons(budget: str | None, clock: int, noted: str | None, reason: str) -> None:
    changes = {"spec__deadline": "1h"} | ({"spec__budget": budget} if budget else {})
    annotations = PRICED | ({DEADLINE: noted} if noted else {})
    ended = failed("DeadlineExceeded", deadline=clock, start=stamp(), annotations=annotations)
    assert settle(observe(job(**changes), on=GPU, child=ended))[0].reason == reason


def test_spent_budget_creates_no_child() -> None:
    used = {"seconds": 965, "pods": [{"pod": "a", "uid": "a", "pricePerHour": "3.6", "started": stamp(),
                                      "seconds": 965, "ended": True}]}  # fmt: skip
    before = {"childJob": {"name": "x", "uid": "gone"}, "childrenCreated": 1, "usage": used}
    record = with_raw_status(job(spec__budget="1"), before)
    plan = looked(record, 1000, confirmed=True)
    assert plan.create is not None
    assert plan.create["spec"]["activeDeadlineSeconds"] == 5
    spent = with_raw_status(job(spec__budget="0.99"), before)
    plan = looked(spent, 1000, confirmed=True)
    assert plan.create is None
    assert condition_of(plan, "Failed")["reason"] == "BudgetExceeded"


@pytest.mark.parametrize(
    ("limit", "named"),
    [
        ({"spec__budget": "2.5"}, "spec.budget (2.5)"),
        ({"spec__sla__cost": {"maxPerMillion": "1.5"}}, "spec.sla.cost.maxPerMillion (1.5)"),
    ],
)
def test_without_a_price_a_job_with_a_limit_on_cost_waits_for_one(limit: dict[str, Any], named: str) -> None:
    record, plan = settle(observe(job(**limit)))
    assert plan.create is None
    assert record.phase == "Pending"
    accepted = condition_of(plan, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "RuntimeWithoutPrice")
    assert accepted["message"].startswith(f"{named}: the CompressionRuntime 'cpu' has no pricePerHour")
    assert [note.reason for note in plan.events] == ["Waiting"]
    assert reconcile(observe(record), NOW).empty
    assert reconcile(observe(record, on=GPU), NOW).create is not None


ELSEWHERE = {"spec__runtime": "gpu", "spec__sla__runtime": "phone"}


def test_budget_for_measuring_excludes_the_cost_of_compressing() -> None:
    pod = {"pod": "a", "uid": "a", "part": "Compress", "runtime": "gpu", "pricePerHour": "3.6", "started": stamp()}
    used = {"seconds": 500, "pods": [pod | {"seconds": 500, "ended": True}]}
    record = with_raw_status(job(spec__budget="1", **ELSEWHERE), {"part": "Measure", "usage": used})
    phone = runtime("phone", pricePerHour="1.8")
    plan = reconcile(observe(record, on=phone, measuring_runtime=phone), after(600))
    assert plan.create is not None
    # Half of the budget is left, and lasts 1000 seconds at half the price.
    assert plan.create["spec"]["activeDeadlineSeconds"] == 970
    annotations = plan.create["spec"]["template"]["metadata"]["annotations"]
    assert (annotations[PRICE], annotations["compression-operator.io/runtime"]) == ("1.8", "phone")


def test_cost_limit_needs_the_price_of_the_measuring_runtime() -> None:
    gpu, phone = runtime("gpu"), runtime("phone", pricePerHour="1.8")
    limited = job(spec__sla__cost={"maxPerMillion": "1.5"}, **ELSEWHERE)
    assert reconcile(observe(limited, on=gpu, measuring_runtime=phone), NOW).create is not None
    record, plan = settle(observe(limited, on=runtime("gpu", pricePerHour="3"), measuring_runtime=runtime("phone")))
    assert plan.create is None
    assert "the CompressionRuntime 'phone' has no pricePerHour" in record.status().message
