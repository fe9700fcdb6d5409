"""The times of queries, and between which bounds they would lie had others left this process its CPUs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.statistics.block_bootstrap import LEAST

Seconds = NDArray[np.float64]
"""Seconds of each query in the order in which they came, shape (queries,)."""


@dataclass(frozen=True)
class Bounds:
    """Seconds of each query without the time in which others held the CPUs: at least `least`, at most `most`."""

    least: Seconds
    most: Seconds

    def after(self, count: int) -> "Bounds":
        """Return the bounds without those of the first queries."""
        return Bounds(self.least[count:], self.most[count:])


@dataclass(frozen=True)
class Queries:
    """Times of queries as they were, and the bounds of what they would have been on a machine without others.

    `latency` counts from the moment for which the query was scheduled, `service` from the one at which the model began
    with it; they differ where queries wait. `counted` says whether the kernel counted how long threads waited for a
    CPU; where it did not, the bounds are the times as they were.
    """

    latency: Seconds
    service: Seconds
    counted: tuple[Bounds, Bounds] | None = None

    def __len__(self) -> int:
        return len(self.latency)

    @property
    def latency_bounds(self) -> Bounds:
        """The bounds of the latencies."""
        return self.counted[0] if self.counted else Bounds(self.latency, self.latency)

    @property
    def service_bounds(self) -> Bounds:
        """The bounds of the time that the model itself takes."""
        return self.counted[1] if self.counted else Bounds(self.service, self.service)

    def as_slow_as_they_were(self) -> "Queries":
        """Return the queries where nothing is known to have been taken from them: the upper bounds are the times."""
        if not self.counted:
            return self
        latency, service = self.counted
        return replace(self, counted=(Bounds(latency.least, self.latency), Bounds(service.least, self.service)))

    def after(self, count: int) -> "Queries":
        """Return the queries without the first ones."""
        counted = self.counted and (self.counted[0].after(count), self.counted[1].after(count))
        return Queries(self.latency[count:], self.service[count:], counted)


@dataclass(frozen=True)
class Taken:
    """Seconds of each query in which others held the CPUs: at least `least`, at most `most`; shape (queries,)."""

    least: Seconds
    most: Seconds


def as_they_are(latency: Seconds, service: Seconds, taken: Taken | None) -> Queries:
    """Return queries that follow one another: each would be shorter by what was taken from it."""
    if taken is None:
        return Queries(latency, service)
    bounds = Bounds(_without(service, taken.most), _without(service, taken.least))
    before = latency - service
    return Queries(latency, service, (Bounds(before + bounds.least, before + bounds.most), bounds))


def as_they_queue(arrival: Seconds, latency: Seconds, service: Seconds, taken: Taken | None) -> Queries:
    """Return queries that arrive at `arrival`, whatever became of the last one, and are answered in turn.

    What was taken from one query is taken from the waiting of those behind it, too: the queue is run again with the
    shorter times. A queue of shorter times is nowhere longer (Lindley's recursion is monotone), so both bounds hold.
    """
    if taken is None:
        return Queries(latency, service)
    least, most = _without(service, taken.most), _without(service, taken.least)
    waits = Bounds(queue(arrival, least), np.minimum(latency, queue(arrival, most)))
    return Queries(latency, service, (Bounds(np.minimum(waits.least, waits.most), waits.most), Bounds(least, most)))


def _without(service: Seconds, taken: Seconds) -> Seconds:
    """Return times without what was taken; all threads together may have waited for longer than a query took."""
    return np.maximum(service - taken, LEAST)


def queue(arrival: Seconds, service: Seconds) -> Seconds:
    """Return the seconds from arrival to answer where one query is answered at a time, in the order of arrival.

    Source: D. V. Lindley, The theory of queues with a single server, Proceedings of the Cambridge Philosophical Society
    48 (1952).
    """
    steps = np.concatenate([[0.0], np.cumsum(service[:-1] - np.diff(arrival))])
    return np.asarray(steps - np.minimum.accumulate(steps) + service, dtype=np.float64)
