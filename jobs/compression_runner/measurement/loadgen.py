"""MLPerf LoadGen around a predictor: single-stream runs with the latency of every query, and offline runs.

Source: V. J. Reddi et al., MLPerf Inference Benchmark, ISCA 2020; github.com/mlcommons/inference, loadgen/. LoadGen
issues the queries, draws the samples and keeps the time; what is read here is its own record of each query.
"""

import gc
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlperf_loadgen
import numpy as np
from numpy.typing import NDArray

Predict = Callable[[Sequence[int]], None]
"""Answers the samples with these indices; its results are dropped."""

NANOSECONDS = 1e-9

_SAMPLE = re.compile(r'^\{"name":"Sample",.*"complete_ns":(\d+)\}', re.MULTILINE)


class LoadGenError(RuntimeError):
    """LoadGen ended without a record of every query it was asked to issue."""


def single_stream(predict: Predict, *, samples: int, queries: int, seed: int = 0) -> NDArray[np.float64]:
    """Return the latency in seconds of each of `queries` queries, one sample each, issued one after the other.

    The order of the samples depends on `seed` only. Raises what `predict` raises, and LoadGenError.
    """
    latencies = _run(predict, _settings(mlperf_loadgen.TestScenario.SingleStream, queries, seed), samples, batch=1)
    if len(latencies) != queries:
        raise LoadGenError(f"LoadGen recorded {len(latencies)} of {queries} single-stream queries")
    return latencies


def offline(predict: Predict, *, samples: int, queries: int, batch: int, seed: int = 0) -> float:
    """Return the samples per second when all `queries` samples are there at once and are answered in batches.

    The last batch may be smaller. Raises what `predict` raises, and LoadGenError.
    """
    ends = _run(predict, _settings(mlperf_loadgen.TestScenario.Offline, queries, seed), samples, batch=batch)
    if len(ends) < queries:
        raise LoadGenError(f"LoadGen recorded {len(ends)} of {queries} offline samples")
    return len(ends) / float(ends.max())


def _settings(scenario: Any, queries: int, seed: int) -> Any:
    """Return settings for exactly `queries` queries, whatever time they take."""
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = scenario
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = settings.max_duration_ms = 0
    settings.qsl_rng_seed = settings.sample_index_rng_seed = settings.schedule_rng_seed = seed
    return settings


def _run(predict: Predict, settings: Any, samples: int, batch: int) -> NDArray[np.float64]:
    """Run one test and return the seconds from when each sample was scheduled to when it was complete."""
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
        return _durations((Path(folder) / "mlperf_log_trace.json").read_text())


def _durations(trace: str) -> NDArray[np.float64]:
    """Read `complete_ns` of every sample from LoadGen's trace, which is one event a line but not valid JSON."""
    return np.array([int(found) for found in _SAMPLE.findall(trace)], dtype=np.float64) * NANOSECONDS


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
