"""Compute the number and the size of the blocks of a latency run, from the confidence and the time limit."""

import math
from dataclasses import dataclass
from typing import Final

from compression_runner.evaluation.speed.queueing import cluster_size, settling_queries
from compression_runner.evaluation.statistics.alpha_spending import LOOKS, look_sizes
from compression_runner.evaluation.statistics.order_statistics import queries_needed

MIN_PAIRS: Final = 10
"""Pairs of blocks of a queue; fewer do not show the variance between blocks."""
WARM_UP_QUERIES: Final = 3
WARM_UP_SECONDS: Final = 0.2
"""Warm-up queries before each block: this many or this long for both models, whichever is less; at least one."""
FEWEST_QUERIES: Final = 5
FEWEST_SECONDS: Final = 10.0
"""Queries of a block, unless all blocks up to the first look would take longer than FEWEST_SECONDS."""
FIRST_SECONDS: Final = 2.0
"""Least seconds before the first look, for fast models."""
MAX_QUERIES: Final = 50_000
NEARLY_ALL: Final = 0.9
"""A run with this share of MAX_QUERIES ended because of them, not because of the time: it has whole blocks only."""
MARGIN: Final = 0.9
"""Share of the time that is planned for; the estimate of a query's duration is rough."""


@dataclass(frozen=True)
class Sizing:
    """Pairs of blocks at each look, queries of a block, and warm-up queries before each block."""

    looks: tuple[int, ...]
    queries: int
    warm_up: int


def size_queue(
    rate: float, services: tuple[float, float], seconds: float, quantile: float, confidence: float, looks: int = LOOKS
) -> Sizing:
    """Size a run in which `rate` queries per second arrive at models that answer one in `services` seconds.

    The warm-up queries of a block let the queue settle. MIN_PAIRS blocks have as many queries as the percentile needs
    at this confidence, times the cluster size. If `seconds` is too short, at most half of a block is for settling, and
    a queue that has not settled then has no upper bound.
    """
    pair_seconds = sum(max(1.0 / rate, service) for service in services)
    loads = [rate * service for service in services]
    settling = max(WARM_UP_QUERIES, *(settling_queries(load) for load in loads))
    needed = queries_needed(quantile, confidence, discard=0) * max(cluster_size(load) for load in loads)
    block = math.ceil(min(needed, MAX_QUERIES) / MIN_PAIRS)
    affordable = max(2, int(seconds * MARGIN / (MIN_PAIRS * pair_seconds)))
    settling = min(settling, affordable // 2)
    queries = max(1, min(block, affordable - settling))
    most = _pairs_in(seconds, pair_seconds * (queries + settling), queries)
    return Sizing(look_sizes(MIN_PAIRS, most, looks), queries, settling)


def size_run(pair_seconds: float, seconds: float, confidence: float, quantile: float, looks: int = LOOKS) -> Sizing:
    """Size a run in which one query of each model takes `pair_seconds` together.

    At the first look a speed-up and the percentile have bounds at this two-sided confidence, if `seconds` allow it.
    """
    warm_up = max(1, min(WARM_UP_QUERIES, int(WARM_UP_SECONDS / pair_seconds)))
    pairs = queries_needed(0.5, confidence, discard=0)
    fewest = min(FEWEST_QUERIES, int(FEWEST_SECONDS / (pairs * pair_seconds)))
    needed = math.ceil(queries_needed(quantile, confidence, discard=0) / pairs)
    ample = min(int(FIRST_SECONDS / (pairs * pair_seconds)), MAX_QUERIES // (10 * pairs))
    affordable = int(seconds * MARGIN / (pairs * pair_seconds)) - warm_up
    block = max(1, min(max(fewest, needed, ample), affordable))
    most = _pairs_in(seconds, pair_seconds * (block + warm_up), block)
    return Sizing(look_sizes(pairs, most, looks), block, warm_up)


def _pairs_in(seconds: float, pair_seconds: float, queries: int) -> int:
    """Return how many pairs of blocks fit into the time and into MAX_QUERIES."""
    return max(2, min(int(seconds * MARGIN / pair_seconds), MAX_QUERIES // queries))
