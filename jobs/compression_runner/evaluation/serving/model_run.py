"""Figures of one served model from its blocks of load, with intervals that allow for dependence and noise.

Requests at the same time share the server, and the gaps of one request are alike. So the unit of an interval is never
a single gap: the effective number of values comes from the dispersion between requests and from that between blocks,
whichever makes it smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.machine.noise import Noise, reason_of
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.speed.latency_run import QUANTILES
from compression_runner.evaluation.speed.relief import relieved_mean_percentile, relieved_percentile
from compression_runner.evaluation.statistics.block_bootstrap import mean_interval
from compression_runner.evaluation.statistics.intervals import share_of
from compression_runner.evaluation.statistics.order_statistics import (
    dependent_count,
    percentile,
    percentile_interval,
)
from compression_runner.evaluation.statistics.paired_shares import each_of
from compressionjob.estimate import UNBOUNDED_RATIO, UNBOUNDED_SECONDS, Estimate
from compressionjob.figures import short_number

MOST_GROWTH: Final = 0.1
"""A server keeps up if it falls behind by at most this share of the arrivals."""

NO_GAP: Final = "no answer has two tokens"
"""Why latencies between tokens have no value."""


@dataclass(frozen=True)
class ModelRun:
    """Blocks of one model under one load; `measured_noise` is that of a measurement with more blocks."""

    at_random: bool
    blocks: Sequence[ServedBlock]
    alone: Alone | None = None
    measured_noise: Noise | None = None

    @property
    def noise(self) -> Noise | None:
        """The noise during the whole measurement."""
        return self.measured_noise or noise_of(self.blocks)

    def seconds(self, name: str) -> NDArray[np.float64]:
        """Return all values of a latency."""
        return np.concatenate([block.seconds(name) for block in self.blocks])

    @property
    def failed(self) -> int:
        """The number of requests that failed."""
        return int(sum(block.failed.sum() for block in self.blocks))

    def latency(self, name: str, quantile_name: str, confidence: float) -> Estimate:
        """Return a percentile of a latency; unbounded if the server falls behind its arrivals, or without values."""
        values = [block.seconds(name) for block in self.blocks]
        if not sum(map(len, values)):
            return Estimate(value=UNBOUNDED_SECONDS, low=0.0, high=UNBOUNDED_SECONDS, reason=NO_GAP)
        overload = self._overload(confidence)
        if overload is not None and overload.low >= UNBOUNDED_SECONDS:
            return overload
        quantile = QUANTILES[quantile_name]
        estimate = percentile_interval(values, quantile, confidence, self._worth(name, quantile, confidence))
        left = self.left(name, quantile)
        reasons = [self._reason()] if left < 1.0 else []
        high = estimate.high
        if overload is not None:
            high, reasons = UNBOUNDED_SECONDS, [overload.reason, *reasons]
        low = min(estimate.value, left * estimate.low)
        return Estimate(value=estimate.value, low=low, high=high, reason="; ".join(filter(None, reasons)))

    def energy(self, confidence: float) -> Estimate | None:
        """Return the joules of a token; None if the energy of a block is unknown, or of less than two blocks."""
        known = [joules for block in self.blocks if (joules := block.joules_per_token) is not None]
        if len(known) < max(2, len(self.blocks)):
            return None
        mean = mean_interval(known, confidence)
        return mean.model_copy(update={"low": max(0.0, mean.low)})

    def goodput(self, keeps: Sequence[NDArray[np.bool_]], confidence: float) -> Estimate:
        """Return the requests a second that keep the limits: `keeps[block]` marks them.

        It is the share of such requests times the requests a second, which arrivals at random determine exactly.
        """
        marks = [block.astype(np.float64) for block in keeps]
        shares, rates = confidence, [block.loaded.rate for block in self.blocks]
        rate = Estimate.exact(rates[0])
        if not self.at_random:
            shares = each_of(2, confidence)
            rate = mean_interval(rates, shares)
        overload = self._overload(confidence)
        if overload is not None and overload.low >= UNBOUNDED_SECONDS:
            return Estimate(value=0.0, low=0.0, high=0.0, reason=overload.reason)
        share = share_of(float(np.concatenate(marks).mean()), dependent_count(marks, 0.5, shares), shares)
        disturbed = self._disturbed
        low = 0.0 if overload else max(0.0, rate.low) * share.low
        # On a quiet machine every request might have kept the limits, and those that waited might have ended sooner.
        high = self._quiet_rate(rate) * (1.0 if disturbed else share.high)
        reasons = [overload.reason if overload else "", self._reason() if disturbed else ""]
        return Estimate(value=rate.value * share.value, low=low, high=high, reason="; ".join(filter(None, reasons)))

    def _quiet_rate(self, rate: Estimate) -> float:
        """Return the most requests a second without the time that others took from the servers."""
        noise = noise_of(self.blocks)
        if self.at_random or noise is None:
            return rate.high
        return rate.high / max(1.0 - noise.lost_share, 1.0 / UNBOUNDED_RATIO)

    def _worth(self, name: str, quantile: float, confidence: float) -> int:
        """Return the effective number of values of a latency: by requests or by blocks, whichever is less."""
        blocks = self.blocks
        threshold = percentile(self.seconds(name), quantile)
        requests = [values for block in blocks for values in block.by_request(name) if len(values)]
        by_block = dependent_count(
            [block.seconds(name) for block in blocks if block.seconds(name).size], threshold, confidence
        )
        return min(by_block, dependent_count(requests, threshold, confidence))

    def left(self, name: str, quantile: float) -> float:
        """Return the share of a percentile that remains without the time that others took from the servers.

        Each lost second delays every request that is in flight. If requests arrive at random, it also delays those that
        arrive later, without a bound.
        """
        if self.at_random and self._disturbed:
            return 0.0
        noise = noise_of(self.blocks)
        lost = noise.lost if noise else 0.0
        if not lost:
            return 1.0
        values = self.seconds(name)
        if not np.any(values < UNBOUNDED_SECONDS):
            return 1.0
        flying = float(np.mean([min(block.loaded.in_flight, len(block.answers)) for block in self.blocks]))
        lost *= max(1.0, flying)
        if name == "timePerOutputToken":
            relieved = relieved_mean_percentile(values, self._gaps(), quantile, lost)
        else:
            relieved = relieved_percentile(values, quantile, lost)
        return relieved / max(percentile(values, quantile), 1e-12)

    def _gaps(self) -> NDArray[np.float64]:
        """Return the gaps of each request that has a time per output token; 1 of one that failed."""
        answers = [answer for block in self.blocks for answer in block.answers]
        gaps = [1 if answer.error else len(answer.tokens) - 1 for answer in answers]
        return np.array([count for count in gaps if count > 0], dtype=np.float64)

    def _overload(self, confidence: float) -> Estimate | None:
        """Return an unbounded latency if the server falls behind the arrivals, or may; None if it keeps up.

        Requests in flight also grow while a stable server fills, which takes longer the more it is used. So growth
        alone decides nothing: requests must also arrive faster than the server can answer them at its best.
        """
        if not self.at_random:
            return None
        growth = mean_interval([block.loaded.growth for block in self.blocks], confidence)
        rate = short_number(self.blocks[0].loaded.rate, 4)
        if growth.high <= MOST_GROWTH:
            return None
        if growth.low > MOST_GROWTH and not self._disturbed and self._saturated(confidence):
            behind = f"{rate} requests arrive in a second, and it falls behind by {growth.value:.0%} of them"
            return Estimate.exact(UNBOUNDED_SECONDS).model_copy(update={"reason": behind})
        reason = f"too few requests to show that it keeps up with {rate} arrivals a second"
        return Estimate(value=UNBOUNDED_SECONDS, low=0.0, high=UNBOUNDED_SECONDS, reason=reason)

    def _saturated(self, confidence: float) -> bool:
        """Return whether requests arrive faster than the server can answer them."""
        if self.alone is None:
            return False
        return mean_interval([block.utilization(self.alone) for block in self.blocks], confidence).low > 1.0

    @property
    def _disturbed(self) -> bool:
        noise = self.noise
        return noise is not None and noise.disturbed

    def _reason(self) -> str:
        noise = self.noise
        return reason_of(noise) if noise and noise.disturbed else ""


def noise_of(blocks: Sequence[ServedBlock]) -> Noise | None:
    """Return the noise during blocks together; None if it is not known of any."""
    noises = [block.noise for block in blocks if block.noise]
    return reduce(add, noises) if noises else None
