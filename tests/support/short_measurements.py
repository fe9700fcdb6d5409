"""Settings for short real measurements of tiny models."""

import pytest

from compression_runner.evaluation import evaluate
from compression_runner.evaluation.speed import sizing, throughput
from compression_runner.evaluation.statistics import block_bootstrap, paired_bootstrap


def measure_shortly(monkeypatch: pytest.MonkeyPatch, paired_resamples: int = 500) -> None:
    """Shorten measurements to a second: few blocks, few repetitions, few resamples."""
    monkeypatch.setattr(sizing, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(evaluate, "LOOKS_AT", (2,))
    monkeypatch.setattr(block_bootstrap, "RESAMPLES", 300)
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", paired_resamples)
    monkeypatch.setattr(throughput, "THROUGHPUT_BLOCK_SECONDS", 0.02)
