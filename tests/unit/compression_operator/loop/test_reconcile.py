"""For any sequence of observations: no status goes back, no second child, and no change in a stable state."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from compression_operator.cache.observed_job import ObservedJob
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compressionjob.status import TERMINAL_PHASES, CompressionJobStatus
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    ended_pod,
    failed,
    job,
    pod,
    progress,
    running_pod,
    runtime,
    stamp,
    summary,
    violation,
    with_raw_status,
    with_status,
)

NO_NODE = (("PodScheduled", "False", "Unschedulable", "no node"),)
PREEMPTED = (("DisruptionTarget", "True", "PreemptionByScheduler", "preempted"),)

CHILDREN = st.sampled_from(
    [
        None,
        child(),
        child(active=1),
        child(active=1, failed=1),
        child(active=1, failed=2),
        child(suspend=True),
        child(suspend=True, active=1),
        child(active=1, start=stamp()),
        child(active=1, start=stamp(3)),
        child(suspend=True, start=stamp()),
        child(uid="another", retries_before=1),
        complete(),
        failed("BackoffLimitExceeded", failed=4),
        failed("PodFailurePolicy", failed=1),
        failed("DeadlineExceeded"),
    ]
)
PODS = st.lists(
    st.sampled_from(
        [
            pod(),
            pod("pod-b", conditions=NO_NODE),
            running_pod("pod-c"),
            running_pod("pod-d", deleting=True),
            pod("pod-e", phase="Failed", conditions=PREEMPTED),
            ended_pod("pod-f", code=4, message=violation("StorageUnavailable")),
            ended_pod("pod-g", code=137, reason="OOMKilled"),
            ended_pod("pod-h", message=summary("Pass")),
            ended_pod("pod-i", message=summary("Fail")),
            ended_pod("pod-j", message=""),
        ]
    ),
    max_size=3,
).map(tuple)
PROGRESS = st.one_of(st.none(), st.builds(progress, st.sampled_from(["prune", "quantize"]), st.floats(0, 1)))


@st.composite
def surroundings(draw: st.DrawFn) -> tuple[ChildRecord | None, tuple[PodRecord, ...], object, bool, bool, bool]:
    return (
        draw(CHILDREN), draw(PODS), draw(PROGRESS), draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    )  # fmt: skip


def step(record: JobRecord, seen: tuple[object, ...], seconds: int) -> tuple[JobRecord, ObservedJob]:
    """Reconcile one observation as the controller would, and check the invariants of plans."""
    child, pods, progress, suspend, confirmed, has_runtime = seen
    record = replace(record, suspend=bool(suspend))
    if isinstance(child, ChildRecord) and child.name != record.child_name:
        child, pods = None, ()  # it was of a part before
    observed = ObservedJob(
        job=record,
        runtime=runtime() if has_runtime else None,
        child=child,  # type: ignore[arg-type]
        pods=pods,  # type: ignore[arg-type]
        progress=progress,  # type: ignore[arg-type]
        confirmed=bool(confirmed),
    )
    plan = reconcile(observed, after(seconds))
    assert plan.create is None or observed.child is None, "a second child"
    assert plan.create is None or not record.ended, "a child of an ended job"
    written = replace(with_status(record, plan), suspend=bool(suspend))
    check_forward(record, written)
    if written.child_name != record.child_name:
        observed = replace(observed, child=None, pods=())
    return written, replace(observed, job=written)


def check_forward(old: JobRecord, new: JobRecord) -> None:
    """Check the values that may never go back."""
    before, after_ = old.status(), new.status()
    if before.phase in TERMINAL_PHASES:
        assert (after_.phase, after_.verdict) == (before.phase, before.verdict)
    if before.start_time:
        assert after_.start_time == before.start_time
    assert (after_.progress or 0) >= (before.progress or 0)
    assert after_.retries >= before.retries
    assert seconds_of(after_) >= seconds_of(before)
    assert after_.children_created >= before.children_created
    kinds = [item.type for item in after_.conditions]
    assert len(kinds) == len(set(kinds))
    truths = {item.type: item.status for item in after_.conditions}
    assert not (truths.get("Complete") == "True" and truths.get("Failed") == "True")
    assert (after_.phase == "Succeeded") == (truths.get("Complete") == "True")
    assert (after_.phase == "Failed") == (truths.get("Failed") == "True")


def seconds_of(status: CompressionJobStatus) -> int:
    return status.active_time.seconds if status.active_time else 0


@settings(max_examples=300)
@given(st.lists(surroundings(), min_size=1, max_size=8))
def test_status_never_goes_back(sequence: list[tuple[object, ...]]) -> None:
    record = job()
    for index, seen in enumerate(sequence):
        record, _ = step(record, seen, index)


@settings(max_examples=300)
@given(st.lists(surroundings(), min_size=1, max_size=4))
def test_the_plan_of_a_stable_state_changes_nothing(sequence: list[tuple[object, ...]]) -> None:
    record = job()
    for index, seen in enumerate(sequence):
        record, observed = step(record, seen, index)
    for _ in range(2):  # a part that begins again is looked at again at once
        record, observed = step(record, sequence[-1], len(sequence) - 1)
    again = reconcile(observed, after(len(sequence) - 1))
    assert again.status is None
    assert again.events == ()


@settings(max_examples=100)
@given(surroundings())
def test_reconcile_is_deterministic(seen: tuple[object, ...]) -> None:
    _, observed = step(with_raw_status(job(), {"phase": "Pending"}), seen, 0)
    assert reconcile(observed, NOW) == reconcile(observed, NOW)
