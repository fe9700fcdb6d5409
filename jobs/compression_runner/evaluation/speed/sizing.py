"""How many blocks of how many queries a latency run has, from the wanted confidence and the time that there is."""

import math
from dataclasses import dataclass
from typing import Final

from compression_runner.evaluation.speed.queueing import cluster_size, settling_queries
from compression_runner.evaluation.statistics.order_statistics import LOADGEN_CONFIDENCE, queries_needed

PAIRS: Final = 30
"""Blocks of each model: short, so that the two of a pair meet the same moments of the machine."""
MIN_PAIRS: Final = 10
"""With fewer, the order statistics of the pairs have no interval at high confidence."""
WARM_UP_QUERIES: Final = 5
WARM_UP_SECONDS: Final = 0.2
"""Queries before each block that do not count: so many or so long for both models, whichever is less; at least one."""
AMPLE_SECONDS: Final = 15.0
"""A quick model is asked more often than it must be, as long as both together take no longer than this."""
MAX_QUERIES: Final = 5000
MARGIN: Final = 0.9
"""Share of the time that is planned for; the estimate of a query's duration is rough."""


@dataclass(frozen=True)
class Sizing:
    """Pairs of blocks, queries of a block, and queries before each block that do not count."""

    pairs: int
    queries: int
    warm_up: int


def size_queue(
    rate: float, services: tuple[float, float], seconds: float, quantile: float, confidence: float
) -> Sizing:
    """Return the size of a run in which `rate` queries a second arrive at models that answer one in `services` seconds.

    The queries before a block's others let the queue settle, so the blocks are few. As many queries as the percentile
    needs at this confidence, times how many in a row share one fate; at most half of a block settles where `seconds`
    would not do, and what then has not settled has no upper bound.
    """
    pair_seconds = sum(max(1.0 / rate, service) for service in services)
    loads = [rate * service for service in services]
    settling = max(WARM_UP_QUERIES, *(settling_queries(load) for load in loads))
    needed = queries_needed(quantile, max(confidence, LOADGEN_CONFIDENCE)) * max(cluster_size(load) for load in loads)
    ample = min(MAX_QUERIES, int(AMPLE_SECONDS / pair_seconds))
    block = math.ceil(max(needed, ample) / MIN_PAIRS)
    affordable = max(2, int(seconds * MARGIN / (MIN_PAIRS * pair_seconds)))
    settling = min(settling, affordable // 2)
    return Sizing(MIN_PAIRS, max(1, min(block, affordable - settling)), settling)


def size_run(pair_seconds: float, seconds: float, confidence: float) -> Sizing:
    """Return the size of a run in which one query of each model takes `pair_seconds` together.

    As many queries as p99 needs at this two-sided confidence, and no fewer than LoadGen asks for; more where both
    models are quick; fewer where `seconds` would not do.
    """
    warm_up = max(1, min(WARM_UP_QUERIES, int(WARM_UP_SECONDS / pair_seconds)))
    needed = queries_needed(0.99, max(confidence, LOADGEN_CONFIDENCE))
    ample = min(MAX_QUERIES, int(AMPLE_SECONDS / pair_seconds))
    block = math.ceil(max(needed, ample) / PAIRS)
    if PAIRS * (block + warm_up) * pair_seconds <= seconds * MARGIN:
        return Sizing(PAIRS, block, warm_up)
    affordable = int(seconds * MARGIN / (MIN_PAIRS * pair_seconds)) - warm_up
    return Sizing(MIN_PAIRS, max(1, min(affordable, math.ceil(needed / MIN_PAIRS))), warm_up)
