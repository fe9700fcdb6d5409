"""Jobs that a quota refuses: one request at a time with backoff, in order, and at once when there is room."""

import heapq
import itertools
from collections import Counter

import pytest

from compression_operator.cluster.errors import Refused
from compression_operator.loop.admission import FIRST_PAUSE, LONGEST_PAUSE, Admission, reason_of
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import NOW, after, raw_job, stamp
from tests.support.operator.fake_client import refused

QUOTA = 'jobs.batch "{}" is forbidden: exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch={}'
OFFER = (1, "Run", 7)


def job(number: int, namespace: str = "team") -> JobRecord:
    raw = raw_job(name=f"job-{number}")
    uid = f"{number:08x}-0000-4000-8000-000000000001"
    raw["metadata"] |= {"uid": uid, "namespace": namespace, "creationTimestamp": stamp(number)}
    return JobRecord.of(raw)


def over_quota(record: JobRecord, used: int = 10) -> Refused:
    return refused(403, QUOTA.format(f"{record.name}-{record.uid[:8]}", used))


class Cluster:
    """A quota, jobs that want to pass it, and the time, which goes from one wake to the next."""

    def __init__(self, room: int = 0) -> None:
        self.room, self.seconds = room, 0.0
        self.wakes: list[tuple[float, int, str]] = []
        self.numbers = itertools.count()
        self.jobs: dict[str, JobRecord] = {}
        self.requests: list[tuple[float, str]] = []
        self.taken: list[str] = []
        self.impossible: set[str] = set()
        self.admission = Admission(
            self.wake, clock=lambda: self.seconds, now=lambda: after(self.seconds), jitter=lambda: 1.0
        )

    def wake(self, uid: str, delay: float) -> None:
        heapq.heappush(self.wakes, (self.seconds + delay, next(self.numbers), uid))

    def apply(self, *records: JobRecord) -> None:
        for record in records:
            self.jobs[record.uid] = record
            self.look(record)

    def look(self, record: JobRecord) -> Refused | None:
        """Look at a job as the controller does."""
        held = self.admission.hold(record, OFFER)
        if held is not None or record.name in self.taken:
            return held
        self.requests.append((self.seconds, record.name))
        if self.room == 0 or record.name in self.impossible:
            return self.admission.refuse(record, OFFER, over_quota(record, used=len(self.requests)))
        self.room -= 1
        self.taken.append(record.name)
        self.admission.admit(record.uid)
        return None

    def run(self, seconds: float) -> list[str]:
        """Let time pass; returns whose Jobs were offered meanwhile."""
        before, end = len(self.requests), self.seconds + seconds
        while self.wakes and self.wakes[0][0] <= end:
            self.seconds, _, uid = heapq.heappop(self.wakes)
            if uid in self.jobs:
                self.look(self.jobs[uid])
        self.seconds = end
        return [name for _, name in self.requests[before:]]

    def delete(self, record: JobRecord) -> None:
        del self.jobs[record.uid]
        self.admission.leave(record.uid)


def names(*numbers: int) -> list[str]:
    return [f"job-{number}" for number in numbers]


def test_refused_jobs_send_few_requests() -> None:
    cluster = Cluster()
    cluster.apply(*(job(number) for number in range(400)))
    assert len(cluster.requests) == 400
    cluster.run(3600)
    cluster.requests = [item for item in cluster.requests if item[0] > 0]
    minutes = Counter(int(second // 60) for second, _ in cluster.requests)
    assert max(minutes.values()) <= 4
    assert len(cluster.requests) <= 18
    later = [second for second, _ in cluster.requests][-5:]
    assert [b - a for a, b in itertools.pairwise(later)] == [LONGEST_PAUSE] * 4


def test_reconciling_waiting_jobs_sends_no_request() -> None:
    cluster = Cluster()
    records = [job(number) for number in range(50)]
    cluster.apply(*records)
    before = [cluster.look(record) for record in records]
    assert before == [cluster.look(record) for record in records]  # and say the same, so nothing is written
    assert None not in before
    assert len(cluster.requests) == 50


def test_the_oldest_is_offered_first_and_each_once_in_a_round() -> None:
    cluster = Cluster()
    cluster.apply(*(job(number) for number in (3, 1, 2, 0)))
    assert cluster.run(4000)[:8] == names(0, 1, 2, 3, 0, 1, 2, 3)


def test_new_jobs_do_not_precede_waiting_ones() -> None:
    cluster = Cluster()
    cluster.apply(*(job(number) for number in range(3)))
    offered: list[str] = []
    for number in range(100, 130):
        cluster.apply(job(number))
        offered += cluster.run(LONGEST_PAUSE)
    waiting = [offered.index(name, len(offered) // 3) for name in names(0, 1, 2)]
    assert all(waiting)


def test_when_there_is_room_the_next_follow_at_once() -> None:
    cluster = Cluster()
    cluster.apply(*(job(number) for number in range(10)))
    cluster.room = 4
    assert cluster.run(FIRST_PAUSE) == names(0, 1, 2, 3, 4)
    assert cluster.taken == names(0, 1, 2, 3)
    assert len(cluster.admission) == 6


def test_a_job_that_ends_wakes_the_first_of_its_namespace() -> None:
    cluster = Cluster()
    cluster.apply(job(0), job(1), job(2, namespace="other"))
    cluster.run(3600)
    cluster.room = 1
    cluster.admission.release("elsewhere")
    assert cluster.run(0) == []
    cluster.admission.release("team")
    assert cluster.run(0)[:1] in (names(0), names(1))
    assert len(cluster.taken) == 1


def test_a_job_that_can_never_pass_does_not_hold_the_others_up() -> None:
    cluster = Cluster()
    cluster.impossible.add("job-0")
    cluster.apply(*(job(number) for number in range(4)))
    cluster.room = 3
    cluster.run(60)
    assert sorted(cluster.taken) == names(1, 2, 3)


def test_leaving_job_admits_the_next() -> None:
    cluster = Cluster()
    cluster.apply(*(job(number) for number in range(3)))
    cluster.delete(job(0))
    assert cluster.run(FIRST_PAUSE) == names(1)
    cluster.delete(job(1))
    cluster.delete(job(2))
    cluster.admission.leave(job(2).uid)
    assert cluster.run(3600) == []
    assert len(cluster.admission) == 0


def test_another_offer_is_made_at_once() -> None:
    """The runtime or the spec has changed, so the manifest differs from the refused one."""
    cluster = Cluster()
    cluster.apply(job(0), job(1))
    assert cluster.admission.hold(job(1), OFFER) is not None
    assert cluster.admission.hold(job(1), (1, "Run", 8)) is None


def test_another_reason_is_another_group() -> None:
    cluster = Cluster()
    cluster.apply(*(job(number) for number in range(3)))
    policy = refused(403, 'admission webhook "w" denied the request: no team label')
    cluster.seconds = FIRST_PAUSE
    assert cluster.admission.hold(job(0), OFFER) is None
    cluster.admission.refuse(job(0), OFFER, policy)
    assert cluster.run(FIRST_PAUSE) == names(1, 0)
    assert len(cluster.admission) == 3


def test_refusal_states_message_and_next_attempt() -> None:
    cluster = Cluster()
    cluster.apply(job(0))
    held = cluster.look(job(0))
    assert held is not None
    assert "exceeded quota: q, requested: count/jobs.batch=1" in held.message
    assert held.message.endswith(f"offers it again by {stamp(FIRST_PAUSE)} at the latest")
    assert after(0) == NOW


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (QUOTA.format("job-1-00000001", 10), QUOTA.format("job-22-00000016", 1200)),
        ("exceeded quota: q, used: cpu=500m,memory=4Gi", "exceeded quota: q, used: cpu=2,memory=10.5Gi"),
        ("request 0a1b2c3d-0000-4000-8000-000000000001", "request ffff1111-0000-4000-8000-0000000000aa"),
    ],
)
def test_reason_is_equal_for_all_jobs(one: str, other: str) -> None:
    assert reason_of(job(1), refused(403, one)) == reason_of(job(22), refused(403, other))


def test_reasons_that_differ() -> None:
    reasons = ["exceeded quota: q", "exceeded quota: p", "no team label"]
    assert len({reason_of(job(1), refused(403, text)) for text in reasons}) == 3
    assert reason_of(job(1), refused(403, "x")) != reason_of(job(1), refused(422, "x"))
