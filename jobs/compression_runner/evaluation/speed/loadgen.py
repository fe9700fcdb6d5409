"""MLPerf LoadGen around a predictor: the latency of every query in each scenario, and offline runs.

Source: V. J. Reddi et al., MLPerf Inference Benchmark, ISCA 2020; github.com/mlcommons/inference, loadgen/. LoadGen
issues the queries, draws the samples and keeps the time; what is read here is its own record of each query.
"""

import gc
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlperf_loadgen
import numpy as np
from numpy.typing import NDArray

Predict = Callable[[Sequence[int]], None]
"""Answers the samples with these indices; its results are dropped."""

NANOSECONDS = 1e-9

_SAMPLE = re.compile(
    r'^\{"name":"Sample",.*"query_seq":(\d+),.*"issue_start_ns":(\d+),"complete_ns":(\d+)\}', re.MULTILINE
)


class LoadGenError(RuntimeError):
    """LoadGen ended without a record of every query it was asked to issue."""


@dataclass(frozen=True)
class Queries:
    """Seconds of each query in the order in which they came, shape (queries,).

    `latency` counts from the moment for which the query was scheduled, `service` from the one at which the model began
    with it; they differ where queries wait.
    """

    latency: NDArray[np.float64]
    service: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.latency)

    def after(self, count: int) -> "Queries":
        """Return the queries without the first ones."""
        return Queries(self.latency[count:], self.service[count:])


def single_stream(predict: Predict, *, samples: int, queries: int, seed: int = 0) -> Queries:
    """Return the times of `queries` queries, one sample each, issued one after the other.

    The order of the samples depends on `seed` only. Raises what `predict` raises, and LoadGenError.
    """
    settings = _settings(mlperf_loadgen.TestScenario.SingleStream, queries, seed)
    return _complete(_run(predict, settings, samples, batch=1), queries, "single-stream")


def multi_stream(
    predict: Predict, *, samples: int, queries: int, samples_each: int, batch: int, seed: int = 0
) -> Queries:
    """Return the times of queries of `samples_each` samples, one after the other; a query ends with its last sample.

    The samples of a query are answered `batch` at a time. Raises what `predict` raises, and LoadGenError.
    """
    settings = _settings(mlperf_loadgen.TestScenario.MultiStream, queries, seed)
    settings.multi_stream_samples_per_query = samples_each
    return _complete(_run(predict, settings, samples, batch), queries, "multi-stream")


def server(predict: Predict, *, samples: int, queries: int, rate: float, seed: int = 0) -> Queries:
    """Return the times of queries of one sample that arrive at random, `rate` a second (a Poisson process).

    They are answered in turn, one at a time, and wait for it: latency counts from the arrival. Any finite number of
    queries ends, however slow the model. Raises what `predict` raises, and LoadGenError.
    """
    settings = _settings(mlperf_loadgen.TestScenario.Server, queries, seed)
    settings.server_target_qps = rate
    return _complete(_run(predict, settings, samples, batch=1), queries, "server")


def offline(predict: Predict, *, samples: int, queries: int, batch: int, seed: int = 0) -> float:
    """Return the samples per second when all `queries` samples are there at once and are answered in batches.

    The last batch may be smaller. Raises what `predict` raises, and LoadGenError.
    """
    found = _run(predict, _settings(mlperf_loadgen.TestScenario.Offline, queries, seed), samples, batch=batch)
    if len(found) < queries:
        raise LoadGenError(f"LoadGen recorded {len(found)} of {queries} offline samples")
    return len(found) / (float(found[:, 2].max()) * NANOSECONDS)


def _complete(found: NDArray[np.int64], queries: int, scenario: str) -> Queries:
    """Return the times by query from the record of its samples."""
    latest_first = found[np.lexsort((-found[:, 2], found[:, 0]))]
    numbers, last = np.unique(latest_first[:, 0], return_index=True)
    if len(numbers) != queries:
        raise LoadGenError(f"LoadGen recorded {len(numbers)} of {queries} {scenario} queries")
    latency, began = latest_first[last, 2] * NANOSECONDS, latest_first[last, 1] * NANOSECONDS
    return Queries(latency, latency - began)


def _settings(scenario: Any, queries: int, seed: int) -> Any:
    """Return settings for exactly `queries` queries, whatever time they take."""
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = scenario
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = settings.max_duration_ms = 0
    settings.qsl_rng_seed = settings.sample_index_rng_seed = settings.schedule_rng_seed = seed
    return settings


def _run(predict: Predict, settings: Any, samples: int, batch: int) -> NDArray[np.int64]:
    """Run one test and return LoadGen's record of each sample, shape (samples, 3).

    Number of its query, and nanoseconds from when that was scheduled until it was issued and until it was complete.
    """
    failures: list[BaseException] = []

    def issue(queries: list[Any]) -> None:
        for start in range(0, len(queries), batch):
            part = queries[start : start + batch]
            try:
                if not failures:
                    predict([query.index for query in part])
            except BaseException as failure:  # noqa: BLE001 - LoadGen's C++ must not see it; it is raised again below
                failures.append(failure)
            mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(query.id, 0, 0) for query in part])

    with tempfile.TemporaryDirectory(prefix="loadgen-") as folder, _no_collection():
        system = mlperf_loadgen.ConstructSUT(issue, _nothing)
        library = mlperf_loadgen.ConstructQSL(samples, samples, _nothing_with, _nothing_with)
        try:
            mlperf_loadgen.StartTestWithLogSettings(system, library, settings, _logging(folder), "")
        finally:
            mlperf_loadgen.DestroyQSL(library)
            mlperf_loadgen.DestroySUT(system)
        if failures:
            raise failures[0]
        return _record((Path(folder) / "mlperf_log_trace.json").read_text())


def _record(trace: str) -> NDArray[np.int64]:
    """Read every sample from LoadGen's trace, which is one event a line but not valid JSON."""
    return np.array(_SAMPLE.findall(trace), dtype=np.int64).reshape(-1, 3)


def _logging(folder: str) -> Any:
    """Return settings under which LoadGen writes its trace into `folder` and nothing to the terminal."""
    output = mlperf_loadgen.LogOutputSettings()
    output.outdir = folder
    output.copy_summary_to_stdout = output.copy_detail_to_stdout = False
    settings = mlperf_loadgen.LogSettings()
    settings.log_output = output
    settings.enable_trace = True
    return settings


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the run: its pauses are this process's, not the model's."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _nothing() -> None:
    """Flush nothing: every query is answered when it is issued."""


def _nothing_with(_samples: list[int]) -> None:
    """Load and unload nothing: the samples stay in memory."""
