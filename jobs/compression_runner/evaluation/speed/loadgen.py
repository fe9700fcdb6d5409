"""Run MLPerf LoadGen on a predictor: the latency of every query in each scenario, and offline runs.

`sequential` means that a model works in the calling thread alone, so that the waiting of this thread is known.

Source: V. J. Reddi et al., MLPerf Inference Benchmark, ISCA 2020; github.com/mlcommons/inference, loadgen/. LoadGen
issues the queries, draws the samples and keeps the time; this module reads its record of each query.
"""

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlperf_loadgen
import numpy as np
from numpy.typing import NDArray

from compression_runner import garbage_collection
from compression_runner.evaluation.machine.waiting import ThreadWaits
from compression_runner.evaluation.speed.queries import Queries, Taken, as_they_are, as_they_queue

Predict = Callable[[Sequence[int]], None]
"""Answers the samples with these indices; its results are dropped."""

NANOSECONDS = 1e-9

LONG_PAUSE = 50_000
"""Nanoseconds between two queries after which the counters are read again before the next query."""

_SAMPLE = re.compile(
    r'^\{"name":"Sample",.*"ts":(\d+)\.(\d+),.*"query_seq":(\d+),.*"issue_start_ns":(\d+),"complete_ns":(\d+)\}',
    re.MULTILINE,
)


class LoadGenError(RuntimeError):
    """LoadGen ended without a record of every requested query."""


def single_stream(predict: Predict, *, samples: int, queries: int, seed: int = 0, sequential: bool = False) -> Queries:
    """Return the times of `queries` queries, one sample each, issued one after the other.

    The order of the samples depends on `seed` only. Raises what `predict` raises, and LoadGenError.
    """
    settings = settings_for(mlperf_loadgen.TestScenario.SingleStream, queries, seed)
    record = _run(predict, settings, samples, batch=1)
    latency, service, _ = _complete(record, queries, "single-stream")
    return as_they_are(latency, service, record.taken(service, sequential=sequential))


def multi_stream(
    predict: Predict,
    *,
    samples: int,
    queries: int,
    samples_each: int,
    batch: int,
    seed: int = 0,
    sequential: bool = False,
) -> Queries:
    """Return the times of queries of `samples_each` samples, one after the other; a query ends with its last sample.

    The samples of a query are answered `batch` at a time. Raises what `predict` raises, and LoadGenError.
    """
    settings = settings_for(mlperf_loadgen.TestScenario.MultiStream, queries, seed)
    settings.multi_stream_samples_per_query = samples_each
    record = _run(predict, settings, samples, batch)
    latency, service, _ = _complete(record, queries, "multi-stream")
    return as_they_are(latency, service, record.taken(service, sequential=sequential))


def server(
    predict: Predict, *, samples: int, queries: int, rate: float, seed: int = 0, sequential: bool = False
) -> Queries:
    """Return the times of queries of one sample that arrive at random, `rate` per second (a Poisson process).

    They are answered one at a time, in order, and latency counts from the arrival. The run ends after `queries`
    queries, even if the model is slower than the rate. Raises what `predict` raises, and LoadGenError.
    """
    settings = settings_for(mlperf_loadgen.TestScenario.Server, queries, seed)
    settings.server_target_qps = rate
    record = _run(predict, settings, samples, batch=1)
    latency, service, arrival = _complete(record, queries, "server")
    return as_they_queue(arrival, latency, service, record.taken(service, sequential=sequential))


@dataclass(frozen=True)
class Offline:
    """Seconds of all samples together, and the bounds of the time in it in which other processes held the CPUs."""

    samples: int
    seconds: float
    taken_least: float = 0.0
    taken_most: float | None = None


def offline(
    predict: Predict, *, samples: int, queries: int, batch: int, seed: int = 0, sequential: bool = False
) -> Offline:
    """Return the seconds of `queries` samples that are all available at the start and are answered in batches.

    The last batch may be smaller. Raises what `predict` raises, and LoadGenError.
    """
    record = _run(predict, settings_for(mlperf_loadgen.TestScenario.Offline, queries, seed), samples, batch=batch)
    if len(record.samples) < queries:
        raise LoadGenError(f"LoadGen recorded {len(record.samples)} of {queries} offline samples")
    seconds = float(record.samples[:, 3].max()) * NANOSECONDS
    taken = record.taken(np.array([seconds]), sequential=sequential)
    if taken is None:
        return Offline(len(record.samples), seconds)
    return Offline(len(record.samples), seconds, float(taken.least[0]), float(taken.most[0]))


def settings_for(scenario: Any, queries: int, seed: int) -> Any:
    """Return settings for exactly `queries` queries, without a time limit."""
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = scenario
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = settings.max_duration_ms = 0
    settings.qsl_rng_seed = settings.sample_index_rng_seed = settings.schedule_rng_seed = seed
    return settings


def run_test(issue: Callable[[list[Any]], object], settings: Any, samples: int) -> NDArray[np.int64]:
    """Run one test, in which `issue` takes the queries; return LoadGen's record of each sample (`Record.samples`)."""
    # Pauses of Python's garbage collector do not belong to the model.
    with tempfile.TemporaryDirectory(prefix="loadgen-") as folder, garbage_collection.paused():
        system = mlperf_loadgen.ConstructSUT(issue, _nothing)
        library = mlperf_loadgen.ConstructQSL(samples, samples, _nothing_with, _nothing_with)
        try:
            mlperf_loadgen.StartTestWithLogSettings(system, library, settings, _logging(folder), "")
        finally:
            mlperf_loadgen.DestroyQSL(library)
            mlperf_loadgen.DestroySUT(system)
        return _samples((Path(folder) / "mlperf_log_trace.json").read_text())


@dataclass
class Record:
    """LoadGen's record of each sample, and the kernel's counters around each call of the model.

    `samples` has the shape (samples, 4): number of the query, nanoseconds at which it was scheduled, and from then
    until it was issued and until it was complete. The other lists have one value in nanoseconds for each call. `caller`
    and `every` are the waiting of the calling thread and of all threads. `outside` is the part of the interval between
    two readings that does not belong to the query; the caller may have waited in it. `missed` is the waiting of all
    threads before a second reading after a pause. `inside` is the time from this reading to the answer; if LoadGen's
    time is longer, the difference may contain missed waiting.
    """

    samples: NDArray[np.int64]
    caller: list[int] = field(default_factory=list)
    every: list[int] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)

    def taken(self, service: NDArray[np.float64], *, sequential: bool) -> Taken | None:
        """Return the bounds of the time that others took from queries of `service` seconds; None without counters."""
        if len(self.caller) != len(service):
            return None
        caller, every, outside, missed, inside = (
            np.array(counted, dtype=np.float64) * NANOSECONDS
            for counted in (self.caller, self.every, self.outside, self.missed, self.inside)
        )
        least = np.maximum(0.0, caller - outside) if sequential else np.zeros(len(service))
        most = every + np.minimum(missed, np.maximum(0.0, service - inside))
        return Taken(least, np.maximum(most, least))


def _complete(
    record: Record, queries: int, scenario: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return latency, service and arrival by query, in seconds, from the record of its samples."""
    samples = record.samples
    latest_first = samples[np.lexsort((-samples[:, 3], samples[:, 0]))]
    numbers, last = np.unique(latest_first[:, 0], return_index=True)
    if len(numbers) != queries:
        raise LoadGenError(f"LoadGen recorded {len(numbers)} of {queries} {scenario} queries")
    arrival, began, latency = (latest_first[last, column] * NANOSECONDS for column in (1, 2, 3))
    return latency, latency - began, arrival


def _run(predict: Predict, settings: Any, samples: int, batch: int) -> Record:
    """Run one test, and return LoadGen's record of each sample with the kernel's counters."""
    failures: list[BaseException] = []
    record = Record(np.empty((0, 4), dtype=np.int64))

    def answer(queries: list[Any]) -> int:
        answered = time.perf_counter_ns()
        for start in range(0, len(queries), batch):
            part = queries[start : start + batch]
            try:
                if not failures:
                    predict([query.index for query in part])
            except BaseException as failure:  # noqa: BLE001 - LoadGen's C++ must not see it; it is raised again below
                failures.append(failure)
            answered = time.perf_counter_ns()
            mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(query.id, 0, 0) for query in part])
        return answered

    with ThreadWaits() as waits:
        recorded = run_test(_counting(answer, waits, record) if waits.available else answer, settings, samples)
    if failures:
        raise failures[0]
    record.samples = recorded
    return record


def _counting(answer: Callable[[list[Any]], int], waits: ThreadWaits, record: Record) -> Callable[[list[Any]], None]:
    """Wrap `answer` to read the counters after each call, outside of the time that LoadGen counts.

    `answer` returns the time of the last answer.
    """
    # A thread may wait during a reading, after its own counter was read: `outside` begins before the last reading.
    since = time.perf_counter_ns()
    last, read_at = waits.read(), time.perf_counter_ns()

    def issue(queries: list[Any]) -> None:
        nonlocal since, last, read_at
        called, before = time.perf_counter_ns(), last
        if called - read_at > LONG_PAUSE:
            since, last = called, waits.read()
        began = time.perf_counter_ns()
        answered = answer(queries)
        ended = time.perf_counter_ns()
        now = waits.read()
        read_at = time.perf_counter_ns()
        record.caller.append(now.caller - last.caller)
        record.every.append(now.every - last.every)
        record.outside.append(began - since + read_at - ended)
        record.missed.append(last.every - before.every)
        record.inside.append(answered - began)
        since, last = ended, now

    return issue


def _samples(trace: str) -> NDArray[np.int64]:
    """Read every sample from LoadGen's trace, which is one event a line but not valid JSON."""
    rows = [
        (int(query), int(micro) * 1000 + int(nano.ljust(3, "0")), int(issued), int(complete))
        for micro, nano, query, issued, complete in _SAMPLE.findall(trace)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _logging(folder: str) -> Any:
    """Return settings under which LoadGen writes its trace into `folder` and nothing to the terminal."""
    output = mlperf_loadgen.LogOutputSettings()
    output.outdir = folder
    output.copy_summary_to_stdout = output.copy_detail_to_stdout = False
    settings = mlperf_loadgen.LogSettings()
    settings.log_output = output
    settings.enable_trace = True
    return settings


def _nothing() -> None:
    """Flush nothing: every query is already on its way when it is issued."""


def _nothing_with(_samples: list[int]) -> None:
    """Load and unload nothing: the samples stay in memory."""
