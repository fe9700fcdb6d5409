"""What the theory of queues says of arrivals at random and a model that answers one query at a time.

With `utilization`, the arrivals in a second times the seconds of an answer, at 1 or above, the queue grows without end:
latency has no percentile, and a run only shows how long it went on. Below 1 a queue that begins empty settles, the more
slowly the nearer utilization is to 1; until then its latencies are stochastically smaller than later ones (Lindley's
recursion is monotone), so that a lower bound holds at any time and an upper one only when the queue has settled.
"""

import math
from typing import Final

RELAXATIONS: Final = 3.0
"""So many relaxation times of M/M/1 are left out of a block; those of steadier answers are up to half as long."""


def settling_queries(utilization: float) -> int:
    """Return how many arrivals it takes until a queue that begins empty is as it will be; 0 where it never is.

    Source: J. Abate, W. Whitt, Transient Behavior of the M/M/1 Queue: Starting at the Origin, Queueing Systems 2
    (1987): the relaxation time is 1 / (mu (1 - sqrt(rho))^2), which is rho / (1 - sqrt(rho))^2 arrivals.
    """
    if utilization >= 1.0:
        return 0
    return math.ceil(RELAXATIONS * utilization / (1.0 - math.sqrt(utilization)) ** 2)


def cluster_size(utilization: float) -> float:
    """Return how many queries in a row share one fate: 1 where they do not wait.

    Source: G. Hooghiemstra, L. E. Meester, Computing the extremal index of special Markov chains and queues, Stochastic
    Processes and their Applications 65 (1996): that of M/M/1 is (1 - rho)^2, one over the mean size of a cluster.
    """
    return 1.0 / (1.0 - utilization) ** 2 if utilization < 1.0 else 1.0
