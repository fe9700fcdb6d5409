"""The real LoadGen with predictors that only wait: every query is issued, timed and answered once."""

import time
from collections.abc import Sequence

import numpy as np
import pytest

from compression_runner.evaluation.machine.waiting import ThreadWaits, Waited
from compression_runner.evaluation.speed import loadgen
from compression_runner.evaluation.speed.loadgen import LoadGenError, Record
from compression_runner.evaluation.speed.queries import Taken


class Waiting:
    """Answers after some seconds, and records the queries."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.requested: list[list[int]] = []

    def __call__(self, indices: Sequence[int]) -> None:
        self.requested.append(list(indices))
        time.sleep(self.seconds)


def test_single_stream_gives_one_latency_per_query() -> None:
    predict = Waiting(0.001)
    record = loadgen.single_stream(predict, samples=8, queries=25, seed=1)
    assert record.latency.shape == record.service.shape == (25,)
    assert record.latency.min() >= 0.001, "no query can be quicker than the wait"
    assert len(predict.requested) == 25
    assert all(len(indices) == 1 and 0 <= indices[0] < 8 for indices in predict.requested)


def test_the_seed_decides_the_order_of_the_samples() -> None:
    first, same, other = Waiting(), Waiting(), Waiting()
    loadgen.single_stream(first, samples=32, queries=40, seed=1)
    loadgen.single_stream(same, samples=32, queries=40, seed=1)
    loadgen.single_stream(other, samples=32, queries=40, seed=2)
    assert first.requested == same.requested != other.requested


def test_multi_stream_times_whole_queries() -> None:
    predict = Waiting(0.001)
    record = loadgen.multi_stream(predict, samples=4, queries=5, samples_each=6, batch=4, seed=1)
    assert [len(indices) for indices in predict.requested] == [4, 2] * 5
    assert record.latency.shape == (5,)
    assert record.latency.min() >= 0.002, "a query ends with its last sample"


def test_server_counts_from_the_arrival() -> None:
    record = loadgen.server(Waiting(0.002), samples=4, queries=40, rate=1000.0, seed=1)
    waited = record.latency - record.service
    assert record.service.min() >= 0.002
    assert waited.min() >= 0.0
    assert waited[-1] > 0.010, "two milliseconds each, one arriving in each millisecond: the queue grows"
    assert len(record.after(10)) == 30


def test_random_arrivals_have_their_rate() -> None:
    arrivals: list[float] = []
    loadgen.server(lambda indices: arrivals.append(time.monotonic()), samples=4, queries=400, rate=2000.0, seed=3)
    assert arrivals[-1] - arrivals[0] > 0.1, "400 arrivals at 2000 a second take about 0.2 seconds, never much less"


def test_one_query_is_enough() -> None:
    assert len(loadgen.single_stream(Waiting(), samples=1, queries=1)) == 1


def test_offline_answers_everything_in_batches() -> None:
    predict = Waiting(0.001)
    record = loadgen.offline(predict, samples=16, queries=20, batch=8, seed=1)
    assert [len(indices) for indices in predict.requested] == [8, 8, 4]
    assert record.samples == 20
    assert 0 < record.samples / record.seconds <= 20 / 0.003


def test_a_failing_predictor_ends_the_run_with_its_own_error() -> None:
    calls = 0

    def predict(indices: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError("arena is full")

    with pytest.raises(MemoryError, match="arena is full"):
        loadgen.single_stream(predict, samples=4, queries=50)
    assert calls == 3, "nothing more is asked after the failure"


def test_a_signal_during_a_run_is_raised() -> None:
    def predict(indices: Sequence[int]) -> None:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        loadgen.single_stream(predict, samples=4, queries=5)


def test_a_record_without_all_queries_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen, "_SAMPLE", __import__("re").compile("nothing matches this"))
    with pytest.raises(LoadGenError, match="0 of 5"):
        loadgen.single_stream(Waiting(), samples=4, queries=5)


class Scripted(ThreadWaits):
    """One thread's counter, and a clock that a test moves.

    `reading` is how long the thread waits within the next reading, after its counter is read.
    """

    def __init__(self) -> None:
        self.now = self.waited = self.reading = 0

    def perf_counter_ns(self) -> int:
        """Return the clock, which moves by a microsecond at each look."""
        self.now += 1000
        return self.now

    def wait(self, nanoseconds: int) -> None:
        """Let the thread wait for its CPU."""
        self.now += nanoseconds
        self.waited += nanoseconds

    def read(self) -> Waited:
        """Return the counter, without the waiting of the thread during the reading."""
        waited = Waited(self.waited, self.waited)
        self.wait(self.reading)
        self.reading = 0
        return waited

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Return the counter that moves loadgen's clock."""
    scripted = Scripted()
    monkeypatch.setattr(loadgen, "time", scripted)
    return scripted


def _taken(record: Record, *service: float) -> Taken:
    taken = record.taken(np.array(service), sequential=True)
    assert taken is not None
    return taken


def test_waiting_during_a_reading_does_not_count_for_the_next_query(waits: Scripted) -> None:
    record = Record(np.empty((0, 4), dtype=np.int64))
    issue = loadgen._counting(lambda _: waits.perf_counter_ns(), waits, record)
    waits.reading = 4_000_000
    issue([])
    issue([])
    assert sum(record.caller) == 4_000_000
    assert _taken(record, 1e-5, 1e-5).least.tolist() == [0.0, 0.0]


def test_waiting_before_the_second_reading_counts_in_the_upper_bound(waits: Scripted) -> None:
    record = Record(np.empty((0, 4), dtype=np.int64))
    issue = loadgen._counting(lambda _: waits.perf_counter_ns(), waits, record)
    issue([])
    waits.wait(4_000_000)
    issue([])
    assert _taken(record, 1e-5, 0.00401).most[1] >= 0.004, "LoadGen counted it in the query's time"
    assert _taken(record, 1e-5, 1e-6).most[1] == 0.0, "the query came after it"
