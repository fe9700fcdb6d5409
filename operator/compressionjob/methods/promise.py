"""Promises of methods about the compressed model, whatever the SLA requires."""

from dataclasses import dataclass

from compressionjob.estimate import Estimate


@dataclass(frozen=True)
class Promise:
    """Bounds relative to the baseline; None where the method promises nothing.

    A compressed model outside them is not refused for that, but the report and a condition state it first.
    """

    max_size_ratio: float | None = None
    """Size of the compressed model divided by that of the baseline."""
    min_speedup: float | None = None
    """Median latency of the baseline divided by that of the compressed model."""
    max_quality_drop: float | None = None
    """Drop of the job's quality metric, in [0, 1]; for an error (perplexity) its relative increase."""


def combine(promises: list[Promise]) -> Promise:
    """Return the promise of a pipeline: smallest size, sum of the drops, and a speed-up only if every stage has one."""
    sizes = [p.max_size_ratio for p in promises if p.max_size_ratio is not None]
    speedups = [p.min_speedup for p in promises if p.min_speedup is not None]
    drops = [p.max_quality_drop for p in promises if p.max_quality_drop is not None]
    return Promise(
        max_size_ratio=min(sizes) if sizes else None,
        min_speedup=max(speedups) if speedups and len(speedups) == len(promises) else None,
        max_quality_drop=min(1.0, sum(drops)) if drops and len(drops) == len(promises) else None,
    )


def broken_promises(
    promise: Promise, *, size_ratio: float, speedup: Estimate | None, quality_drop: Estimate | None
) -> list[str]:
    """Return the promises that the compressed model breaks, as sentences for the head of the report.

    ``speedup`` is the ratio of median latencies. Speed and quality are broken only if the whole interval is.
    """
    broken: list[str] = []
    if size_ratio > 1:
        broken.append(f"larger than the baseline: {size_ratio:.2f} times its size")
    elif promise.max_size_ratio is not None and size_ratio > promise.max_size_ratio:
        broken.append(f"larger than promised: {size_ratio:.2f} of the baseline, promised {promise.max_size_ratio:g}")
    if promise.min_speedup is not None and speedup and speedup.high < promise.min_speedup:
        broken.append(f"slower than promised: {speedup.value:.2f} times as fast, promised {promise.min_speedup:g}")
    elif speedup and speedup.high < 1:
        broken.append(f"slower than the baseline: {speedup.value:.2f} times as fast")
    if promise.max_quality_drop is not None and quality_drop and quality_drop.low > promise.max_quality_drop:
        broken.append(f"less exact than promised: lost {quality_drop.value:.4f}, promised {promise.max_quality_drop:g}")
    return broken
