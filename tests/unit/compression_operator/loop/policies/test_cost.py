"""Each second of each pod is charged once, for any sequence of observations."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from compression_operator.loop.policies.cost import REFRESH
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from compressionjob.status import CompressionJobStatus
from compressionjob.usage import MAX_PODS
from tests.support.operator.builders import (
    after,
    child,
    complete,
    ended_pod,
    failed,
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

PRICED = {"compression-operator.io/price-per-hour": "3.6", "compression-operator.io/runtime": "gpu"}
"""A thousandth for each second."""
RUNNING = {"phase": "Running", "startTime": stamp(), "childJob": {"name": "x", "uid": child().uid}}


def looked(record: JobRecord, seconds: float, *pods: Any, **rest: Any) -> JobRecord:
    """Return the job after a reconcile with these pods."""
    return settle(observe(record, pods=pods, **({"child": child(active=1)} | rest)), after(seconds))[0]


def status_of(record: JobRecord) -> CompressionJobStatus:
    return record.status()


def test_a_pod_costs_its_price_for_the_time_that_its_container_ran() -> None:
    ran = ended_pod(message=summary(), start=100, end=700, annotations=PRICED)
    record = looked(job(), 800, ran, child=complete())
    status = status_of(record)
    assert status.cost == "0.6000"
    assert status.usage is not None
    (entry,) = status.usage.pods
    assert (entry.runtime, entry.part, entry.seconds, entry.ended) == ("gpu", "Run", 600, True)
    assert entry.price_per_hour == 3.6


def test_a_pod_that_has_not_started_costs_nothing() -> None:
    record = looked(job(), 800, pod(conditions=(("PodScheduled", "False", "Unschedulable", "no node"),)))
    assert status_of(record).usage is None


def test_without_a_price_only_the_time_is_stated() -> None:
    status = status_of(looked(job(), 60, running_pod()))
    assert status.cost is None
    assert status.usage is not None
    assert (status.usage.seconds, status.usage.pods[0].runtime) == (60, "cpu")


def test_price_of_the_first_observation_applies() -> None:
    record = looked(job(), 10, running_pod(annotations=PRICED))
    record = looked(record, 100, running_pod(annotations=PRICED | {"compression-operator.io/price-per-hour": "36"}),
                    progress=progress("prune", 0.5))  # fmt: skip
    assert status_of(record).cost == "0.1000"


def test_costs_of_parts_with_different_prices_are_added() -> None:
    first = ended_pod("a", start=0, end=100, annotations=PRICED, labels={"compression-operator.io/part": "Compress"})
    record = looked(job(), 100, first)
    dear = {"compression-operator.io/price-per-hour": "36", "compression-operator.io/runtime": "large"}
    second = running_pod("b", start=200, annotations=dear, labels={"compression-operator.io/part": "Measure"})
    record = looked(record, 210, second, child=child(uid="other", active=1, created=stamp(150)))
    status = status_of(record)
    assert status.usage is not None
    assert [(entry.part, entry.seconds) for entry in status.usage.pods] == [("Compress", 100), ("Measure", 10)]
    assert status.usage.by_runtime() == {"gpu": 0.1, "large": 0.1}
    assert status.cost == "0.2000"


def test_usage_alone_is_written_at_intervals() -> None:
    record = looked(job(), 1, running_pod(annotations=PRICED))
    observed = observe(record, child=child(active=1), pods=(running_pod(annotations=PRICED),))
    assert reconcile(observed, after(500)).status is None
    plan = reconcile(observed, after(1 + REFRESH.total_seconds()))
    assert plan.status is not None
    assert plan.status["usage"]["seconds"] == 601
    assert plan.requeue_after is not None
    assert plan.requeue_after <= REFRESH.total_seconds()


def test_usage_is_written_with_other_changes() -> None:
    record = looked(job(), 1, running_pod(annotations=PRICED))
    record = looked(record, 50, running_pod(annotations=PRICED), progress=progress("prune", 0.5))
    assert (status_of(record).progress, status_of(record).cost) == (50, "0.0500")


def test_vanished_pod_ends_at_the_next_observation() -> None:
    record = looked(job(), 1, running_pod(annotations=PRICED))
    record = looked(record, 300)
    status = status_of(record)
    assert status.usage is not None
    assert (status.usage.pods[0].ended, status.usage.seconds) == (True, 300)
    assert status_of(looked(record, 9000)).cost == status.cost


def test_vanished_pod_ends_before_its_successor() -> None:
    record = looked(job(), 1, running_pod("a", annotations=PRICED))
    record = looked(record, 90_000, running_pod("b", created=4000, start=4005, annotations=PRICED))
    status = status_of(record)
    assert status.usage is not None
    assert [entry.seconds for entry in status.usage.pods] == [4000, 90_000 - 4005]


def test_pod_of_a_suspended_job_ends_with_the_job() -> None:
    record = looked(with_raw_status(job(spec__suspend=True), RUNNING), 1, running_pod(annotations=PRICED))
    held = child(suspend=True, condition=("Suspended", "JobSuspended", ""), since=stamp(50))
    status = status_of(looked(record, 90_000, child=held))
    assert status.phase == "Suspended"
    assert status.cost == "0.0500"


def test_vanished_pod_is_charged_for_one_interval_at_most() -> None:
    record = looked(job(), 100, running_pod(annotations=PRICED))
    status = status_of(looked(record, 90_000))
    assert status.usage is not None
    assert status.usage.seconds == 100 + REFRESH.total_seconds()


def test_container_that_never_started_costs_nothing() -> None:
    state = {"terminated": {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z",
                            "finishedAt": stamp(5)}}  # fmt: skip
    record = looked(job(), 10, pod(phase="Failed", state=state, annotations=PRICED))
    assert status_of(record).usage is None


def test_last_pod_of_a_failed_job_is_charged_in_full() -> None:
    record = looked(job(), 1, running_pod(annotations=PRICED))
    over = ended_pod(code=5, end=250, annotations=PRICED)
    record = looked(record, 251, over, child=failed("PodFailurePolicy", failed=1))
    assert (record.phase, status_of(record).cost) == ("Failed", "0.2500")


@given(st.lists(st.tuples(st.integers(1, 500), st.booleans(), st.booleans()), min_size=1, max_size=25))
def test_total_is_exact_for_many_pods(runs: list[tuple[int, bool, bool]]) -> None:
    """Pods one after the other, each seen while it ran or not, kept as a record of its failure or deleted."""
    record, clock, kept, total = job(), 0, (), 0
    for index, (seconds, was_seen, is_kept) in enumerate(runs):
        name = f"pod-{index}"
        if was_seen:
            alive = running_pod(name, created=clock, start=clock, annotations=PRICED)
            record = looked(record, clock + seconds // 2, *kept, alive)
        clock, total = clock + seconds, total + seconds
        over = ended_pod(name, code=4, created=clock - seconds, start=clock - seconds, end=clock, annotations=PRICED)
        record = looked(record, clock, *kept, over)
        kept = (*kept, over) if is_kept else kept
        clock += 3
    status = status_of(record)
    assert status.usage is not None
    assert status.usage.seconds == total
    assert status.cost is not None
    assert abs(float(status.cost) - total / 1000) < 1e-4
    assert len(status.usage.pods) <= MAX_PODS
    assert status_of(looked(record, clock + 5000, *kept)).usage == status.usage


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 900)), min_size=1, max_size=12))
def test_cost_never_falls(looks: list[tuple[int, int]]) -> None:
    """For any sequence of observations."""
    pods = [
        (),
        (running_pod("a", annotations=PRICED),),
        (ended_pod("a", code=4, end=70, annotations=PRICED),),
        (running_pod("b", created=90, start=95, annotations=PRICED),),
        (ended_pod("a", code=4, end=70, annotations=PRICED), running_pod("b", created=90, start=95)),
        (pod("a", phase="Failed", reason="NodeLost"),),
    ]
    record, before, now = job(), 0.0, 100
    for which, passed in looks:
        now += passed
        record = looked(record, now, *pods[which])
        cost = float(status_of(record).cost or before)
        assert cost >= before
        before = cost
