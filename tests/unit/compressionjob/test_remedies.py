"""Remedies for verdicts other than Pass."""

from typing import Any

import pytest

from compressionjob.remedies import remedy_of
from compressionjob.serving import SERVING_NAMES
from compressionjob.verdict import ObjectiveResult


def left_open(name: str, **more: Any) -> ObjectiveResult:
    return ObjectiveResult(name=name, limit=1.2, measured=1.3, verdict="Inconclusive", **more)


@pytest.mark.parametrize(
    ("verdict", "objectives", "remedy"),
    [
        ("Pass", [], ""),
        ("Fail", [], "see the report, then change the pipeline or the limits"),
        (
            "Inconclusive", [left_open("latency", more_seconds=840), left_open("throughput", more_seconds=60)],
            "add about 15m0s to spec.benchmark.timeLimit",
        ),
        (
            "Inconclusive", [left_open("quality.drop", more_samples=3000), left_open("latency", more_seconds=30)],
            "add about 30s to spec.benchmark.timeLimit and add about 3,000 samples to spec.data.evaluation.limit",
        ),
        (
            "Inconclusive", [left_open("latency")],
            "try a machine without other work or a longer spec.benchmark.timeLimit",
        ),
        ("Inconclusive", [left_open("quality.drop")], "try a larger spec.data.evaluation.limit"),
        (
            "Inconclusive", [left_open("latency.speedup"), left_open("flips")],
            "try a machine without other work or a longer spec.benchmark.timeLimit or a larger "
            "spec.data.evaluation.limit",
        ),
        (
            "Inconclusive", [left_open("ttft", more_seconds=600), left_open("goodput.ratio", more_seconds=840)],
            "add about 14m0s to spec.benchmark.timeLimit",
        ),
        *(
            ("Inconclusive", [left_open(name)], "try a machine without other work or a longer spec.benchmark.timeLimit")
            for name in sorted(SERVING_NAMES)
        ),
        ("Inconclusive", [left_open("memory")], "try a limit further from the measured value"),
    ],
)  # fmt: skip
def test_a_verdict_has_a_remedy(verdict: str, objectives: list[ObjectiveResult], remedy: str) -> None:
    assert remedy_of(verdict, objectives) == remedy
