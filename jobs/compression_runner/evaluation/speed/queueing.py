"""Queueing theory for random arrivals and a model that answers one query at a time.

`utilization` is the arrivals per second times the seconds of an answer. At 1 or above, the queue grows without end and
latency has no percentile. Below 1, a queue that begins empty settles, more slowly as utilization approaches 1. Until
then its latencies are stochastically smaller than later ones (Lindley's recursion is monotone), so a lower bound always
holds, and an upper bound holds only when the queue has settled.
"""

import math
from typing import Final

RELAXATIONS: Final = 3.0
"""Relaxation times of M/M/1 that are left out of a block; those of more regular answers are up to half as long."""


def settling_queries(utilization: float) -> int:
    """Return how many arrivals a queue that begins empty needs to settle; 0 if it never settles.

    Source: J. Abate, W. Whitt, Transient Behavior of the M/M/1 Queue: Starting at the Origin, Queueing Systems 2
    (1987): the relaxation time is 1 / (mu (1 - sqrt(rho))^2), which is rho / (1 - sqrt(rho))^2 arrivals.
    """
    if utilization >= 1.0:
        return 0
    return math.ceil(RELAXATIONS * utilization / (1.0 - math.sqrt(utilization)) ** 2)


def cluster_size(utilization: float) -> float:
    """Return the mean number of successive queries that are delayed together; 1 if queries do not wait.

    Source: G. Hooghiemstra, L. E. Meester, Computing the extremal index of special Markov chains and queues, Stochastic
    Processes and their Applications 65 (1996): that of M/M/1 is (1 - rho)^2, one over the mean size of a cluster.
    """
    return 1.0 / (1.0 - utilization) ** 2 if utilization < 1.0 else 1.0
