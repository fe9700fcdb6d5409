"""The deadline counts the active time of all Jobs of a job once."""

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    ended_pod,
    failed,
    job,
    observe,
    running_pod,
    settle,
    stamp,
    with_raw_status,
)

DEADLINE = {"spec__deadline": "100s"}


def used(record: JobRecord) -> int:
    active_time = record.status().active_time
    assert active_time is not None
    return active_time.seconds


def test_a_period_is_counted_when_it_ends_and_once() -> None:
    record, _ = settle(observe(job(**DEADLINE), child=child(active=1, deadline=100, start=stamp())), after(10))
    assert used(record) == 0
    held = child(deadline=60, start=stamp(), suspend=True, condition=("Suspended", "", ""), since=stamp(40))
    for seconds in (41, 50, 900):
        record, _ = settle(observe(record, child=held), after(seconds))
        assert used(record) == 40
    record, _ = settle(observe(record, child=child(active=1, deadline=60, start=stamp(1000))), after(1010))
    assert used(record) == 40
    assert record.status().deadline_time == stamp(1060)
    over = complete(deadline=60, start=stamp(1000), since=stamp(1030))
    record, _ = settle(observe(record, child=over, confirmed=True), after(1031))
    assert used(record) == 70


def test_preemption_by_a_queue_sets_the_clock_to_the_rest() -> None:
    record = job(labels={"kueue.x-k8s.io/queue-name": "team-a"}, **DEADLINE)
    for preempted, (begin, end) in enumerate([(0, 30), (1000, 1020), (2000, 2010)]):
        left = 100 - [0, 30, 50][preempted]
        runs = child(active=1, deadline=left, start=stamp(begin), queue="team-a")
        record, plan = settle(observe(record, child=runs, pods=(running_pod(),)), after(begin + 1))
        assert plan.patch_child is None
        # Kueue takes the start time away when it suspends a Job.
        gone = ended_pod(code=143, start=begin, end=end)
        waits = child(suspend=True, deadline=left, queue="team-a", condition=("Suspended", "", ""), since=stamp(end))
        record, plan = settle(observe(record, child=waits, pods=(gone,)), after(end + 5))
        assert plan.patch_child == {"spec": {"activeDeadlineSeconds": left - (end - begin)}}
    assert used(record) == 60


def test_unobserved_period_is_counted_by_its_pods() -> None:
    runs = child(active=1, deadline=100, start=stamp())
    record, _ = settle(observe(job(**DEADLINE), child=runs, pods=(running_pod(start=2),)), after(3))
    resumed = child(active=1, deadline=100, start=stamp(500))
    gone = ended_pod(code=143, start=2, end=22)
    record, plan = settle(
        observe(record, child=resumed, pods=(gone, running_pod("b", start=505, created=501))), after(510)
    )
    assert used(record) == 22
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 78}}


def test_time_of_a_deleted_child_counts() -> None:
    runs = child(active=1, deadline=100, start=stamp())
    record, _ = settle(observe(job(**DEADLINE), child=runs, pods=(running_pod(start=2),)), after(30))
    plan = reconcile(observe(record, confirmed=True), after(31))
    assert plan.create is not None
    assert 60 <= plan.create["spec"]["activeDeadlineSeconds"] <= 72


def test_account_begins_with_the_clock_of_an_older_operator() -> None:
    running = {"phase": "Running", "startTime": stamp(-900), "childrenCreated": 1}
    record = with_raw_status(job(**DEADLINE), running | {"childJob": {"name": "x", "uid": child().uid}})
    record, plan = settle(observe(record, child=child(active=1, deadline=70, start=stamp())), after(5))
    assert (used(record), plan.patch_child) == (30, None)
    assert record.status().deadline_time == stamp(70)


def test_suspended_child_of_an_older_operator_is_counted_once() -> None:
    record, deadline, clocks = job(spec__deadline="1h", spec__suspend=True), 2600, []
    for _ in range(4):  # a patch of the child comes before the status
        held = child(suspend=True, deadline=deadline, start=stamp(), condition=("Suspended", "", ""), since=stamp(1000))
        record_, plan = settle(observe(record, child=held), after(5000))
        if plan.patch_child is not None:
            deadline = plan.patch_child["spec"]["activeDeadlineSeconds"]
            clocks.append(deadline)
    assert clocks == []
    assert used(record_) == 1000


def test_unobserved_period_is_counted_once() -> None:
    record, deadline, clocks = job(spec__deadline="1h", spec__suspend=True), 3600, []
    for _ in range(4):
        held = child(suspend=True, deadline=deadline, start=stamp(), condition=("Suspended", "", ""), since=stamp(1000))
        plan = reconcile(observe(record, child=held), after(5000))
        if plan.patch_child is not None:
            deadline = plan.patch_child["spec"]["activeDeadlineSeconds"]
            clocks.append(deadline)
    assert clocks == [2600]


def test_a_period_lasts_until_the_pod_of_a_suspended_job_has_ended() -> None:
    """Kubernetes does not count a pod that is ending in status.active."""
    record = job(spec__deadline="1h", spec__suspend=True)
    runs = child(active=1, deadline=3600, start=stamp())
    record, _ = settle(observe(record, child=runs, pods=(running_pod(),)), after(1))
    held = child(suspend=True, deadline=3600, start=stamp(), condition=("Suspended", "", ""), since=stamp(40))
    for seconds in (40, 55):
        record, _ = settle(observe(record, child=held, pods=(running_pod(deleting=True),)), after(seconds))
        assert record.phase != "Suspended"
    record, _ = settle(observe(record, child=held, pods=(ended_pod(code=143, end=70),)), after(70))
    assert (record.phase, used(record)) == ("Suspended", 70)


def test_waiting_for_a_review_does_not_count() -> None:
    record = with_raw_status(job(**DEADLINE), {"part": "Publish", "activeTime": {"seconds": 90}})
    plan = reconcile(observe(record), NOW)
    assert plan.create is not None
    assert "activeDeadlineSeconds" not in plan.create["spec"]
    record, _ = settle(observe(record, child=child(part="Publish", active=1, start=stamp())), after(500))
    assert used(record) == 90


def test_deadline_after_a_suspension_is_reported() -> None:
    before = {"activeTime": {"seconds": 40}, "childrenCreated": 1, "childJob": {"name": "x", "uid": child().uid}}
    over = failed("DeadlineExceeded", deadline=60, start=stamp(), since=stamp(60))
    record, _ = settle(observe(with_raw_status(job(**DEADLINE), before), child=over), after(61))
    assert (record.reason, used(record)) == ("DeadlineExceeded", 100)
