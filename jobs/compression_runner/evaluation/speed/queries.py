"""The times of queries, and their bounds on a machine without other processes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.statistics.block_bootstrap import LEAST

Seconds = NDArray[np.float64]
"""Seconds of each query in the order of arrival, shape (queries,)."""


@dataclass(frozen=True)
class Bounds:
    """Bounds of the seconds of each query without the time in which other processes held the CPUs."""

    least: Seconds
    most: Seconds

    def after(self, count: int) -> "Bounds":
        """Return the bounds without the first `count` queries."""
        return Bounds(self.least[count:], self.most[count:])


@dataclass(frozen=True)
class Queries:
    """Measured times of queries, and their bounds on a machine without other processes.

    `latency` counts from the scheduled time of the query, `service` from the time at which the model began; they differ
    if queries wait. `counted` has the bounds of both if the kernel counted how long threads waited for a CPU; otherwise
    the bounds are the measured times.
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
        """The bounds of the time of the model alone."""
        return self.counted[1] if self.counted else Bounds(self.service, self.service)

    def as_slow_as_they_were(self) -> "Queries":
        """Return the queries with the measured times as upper bounds."""
        if not self.counted:
            return self
        latency, service = self.counted
        return replace(self, counted=(Bounds(latency.least, self.latency), Bounds(service.least, self.service)))

    def after(self, count: int) -> "Queries":
        """Return the queries without the first `count`."""
        counted = self.counted and (self.counted[0].after(count), self.counted[1].after(count))
        return Queries(self.latency[count:], self.service[count:], counted)


@dataclass(frozen=True)
class Taken:
    """Bounds of the seconds of each query in which other processes held the CPUs, shape (queries,)."""

    least: Seconds
    most: Seconds


def as_they_are(latency: Seconds, service: Seconds, taken: Taken | None) -> Queries:
    """Return queries that follow one another: without other processes each is shorter by its `taken` time."""
    if taken is None:
        return Queries(latency, service)
    bounds = Bounds(_without(service, taken.most), _without(service, taken.least))
    before = latency - service
    return Queries(latency, service, (Bounds(before + bounds.least, before + bounds.most), bounds))


def as_they_queue(arrival: Seconds, latency: Seconds, service: Seconds, taken: Taken | None) -> Queries:
    """Return queries that arrive at `arrival`, independently of earlier answers, and are answered in order.

    A delay of one query also delays those behind it, so the queue is computed again with the shorter times. Shorter
    times make no query wait longer (Lindley's recursion is monotone), so both bounds hold.
    """
    if taken is None:
        return Queries(latency, service)
    least, most = _without(service, taken.most), _without(service, taken.least)
    waits = Bounds(queue(arrival, least), np.minimum(latency, queue(arrival, most)))
    return Queries(latency, service, (Bounds(np.minimum(waits.least, waits.most), waits.most), Bounds(least, most)))


def _without(service: Seconds, taken: Seconds) -> Seconds:
    """Subtract the taken time, at least LEAST: all threads together may have waited longer than the query took."""
    return np.maximum(service - taken, LEAST)


def queue(arrival: Seconds, service: Seconds) -> Seconds:
    """Return the seconds from arrival to answer if queries are answered one at a time, in the order of arrival.

    Source: D. V. Lindley, The theory of queues with a single server, Proceedings of the Cambridge Philosophical Society
    48 (1952).
    """
    steps = np.concatenate([[0.0], np.cumsum(service[:-1] - np.diff(arrival))])
    return np.asarray(steps - np.minimum.accumulate(steps) + service, dtype=np.float64)
