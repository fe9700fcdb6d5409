"""Data on which trust cannot be measured is refused before any stage runs."""

from typing import Any

import numpy as np
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.request import require_data
from compressionjob.spec import CompressionJobSpec

TOKENS = SampleSet(samples=[{"input_ids": np.zeros(3, np.int64), "attention_mask": np.ones(3, np.int64)}], digest="")
TWO = SampleSet(samples=[{"x": np.zeros(3, np.float32), "y": np.zeros(2, np.float32)}], digest="")
ROBUST = {"robustness": {"noise": {"level": "0.1", "min": "0.5"}}}
TYPOS = {"robustness": {"corruption": {"min": "0.5"}}}
EXPLAINED = {"attributions": {"minAgreement": "0.9"}}


def spec(task: str, sla: dict[str, Any]) -> CompressionJobSpec:
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": "file:///m", "task": task},
            "data": {"evaluation": {"source": "file:///d.npz"}},
            "pipeline": [{"quantize": {}}],
            "sla": sla,
            "output": {"destination": "file:///out"},
        }
    )


@pytest.mark.parametrize(
    ("task", "sla", "data", "says"),
    [
        ("text-classification", TYPOS, TOKENS, r"spec\.sla\.robustness.*the data holds tokens.*give a table"),
        ("text-classification", EXPLAINED, TOKENS, r"spec\.sla\.attributions.*the data holds tokens"),
        ("tabular-classification", ROBUST, TWO, r"spec\.sla\.robustness: 'x, y'.*x \(float32\), y \(float32\)"),
        ("tabular-regression", EXPLAINED, TWO, r"spec\.sla\.attributions: 'x, y'"),
    ],
)
def test_is_refused(task: str, sla: dict[str, Any], data: SampleSet, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        require_data(spec(task, sla), data)


def test_without_such_limits_nothing_is_asked_of_it() -> None:
    require_data(spec("text-classification", {"flips": {"max": "0.1"}}), TOKENS)
    require_data(spec("tabular-classification", {}), TWO)
