"""Bounds that a method promises."""

from compressionjob.estimate import Estimate
from compressionjob.methods.promise import Promise, broken_promises, combine


def test_promises() -> None:
    int8 = Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)
    slow = Estimate(value=0.8, low=0.7, high=0.9)
    drop = Estimate(value=0.05, low=0.04, high=0.06)
    assert broken_promises(int8, size_ratio=0.25, speedup=Estimate.exact(2), quality_drop=Estimate.exact(0.0)) == []
    assert broken_promises(int8, size_ratio=1.2, speedup=slow, quality_drop=drop) == [
        "larger than the baseline: 1.20 times its size",
        "slower than promised: 0.80 times as fast, promised 1",
        "less exact than promised: lost 0.0500, promised 0.02",
    ]
    assert broken_promises(Promise(), size_ratio=0.5, speedup=slow, quality_drop=None) == [
        "slower than the baseline: 0.80 times as fast"
    ]


def test_a_pipeline_promises_only_what_all_its_stages_promise() -> None:
    int8 = Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)
    prune = Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=0.05)
    assert combine([prune, int8]) == Promise(max_size_ratio=0.5, min_speedup=None, max_quality_drop=0.07)
