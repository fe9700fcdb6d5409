"""Time the same queries with LoadGen and with a bare loop, in alternating blocks."""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.speed import loadgen
from compression_runner.evaluation.statistics.block_bootstrap import speedup_interval
from compression_runner.evaluation.statistics.order_statistics import percentile_interval

CONFIDENCE: Final = 0.95
PERCENTILES: Final = {"p50": 0.5, "p99": 0.99}
WARM_UP: Final = 5


def compare(answer: Callable[[int], object], queries: int, samples: int, pairs: int) -> dict[str, Any]:
    """Return percentiles of both ways in seconds, with intervals, and the ratio of adjacent blocks' p50."""
    bare: list[NDArray[np.float64]] = []
    through: list[NDArray[np.float64]] = []
    order = np.random.default_rng(0)
    for pair in range(pairs):
        for way in order.permutation(2):
            for query in range(WARM_UP):
                answer(query % samples)
            if way:
                recorded = loadgen.single_stream(
                    lambda indices: (answer(indices[0]), None)[1], samples=samples, queries=queries, seed=pair + 1
                )
                through.append(recorded.latency)
            else:
                bare.append(_loop(answer, queries, samples, seed=pair + 1))
    ratio = speedup_interval(through, bare, 0.5, CONFIDENCE)
    return {
        "queries": pairs * queries,
        "bare": _percentiles(bare),
        "loadgen": _percentiles(through),
        "p50Ratio": ratio.model_dump(include={"value", "low", "high"}),
    }


def _loop(answer: Callable[[int], object], queries: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Return the seconds of each query of a bare loop; the order of the samples is drawn before."""
    chosen = np.random.default_rng(seed).integers(0, samples, queries).tolist()
    seconds = np.empty(queries)
    for index, query in enumerate(chosen):
        before = time.perf_counter()
        answer(query)
        seconds[index] = time.perf_counter() - before
    return seconds


def _percentiles(blocks: list[NDArray[np.float64]]) -> dict[str, dict[str, float]]:
    estimates = {name: percentile_interval(blocks, quantile, CONFIDENCE) for name, quantile in PERCENTILES.items()}
    return {name: estimate.model_dump(include={"value", "low", "high"}) for name, estimate in estimates.items()}
