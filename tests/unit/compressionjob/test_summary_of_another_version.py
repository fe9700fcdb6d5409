"""A summary of another version of the runner: entries that do not fit into the status are cut or left out."""

import json
from typing import Any

import pytest

from compressionjob.crd_schema import structural
from compressionjob.report import Summary, parse_summary
from compressionjob.status import CompressionJobStatus

LATENCY = {"name": "latency", "unit": "seconds", "limit": 0.02, "measured": 0.01, "verdict": "Pass"}


def parse(**fields: Any) -> Summary:
    summary = parse_summary(json.dumps({"verdict": "Pass"} | fields))
    assert summary is not None
    return summary


@pytest.mark.parametrize(
    "entry",
    [
        LATENCY | {"name": "carbon.perMillion"},
        LATENCY | {"unit": "grams"},
        LATENCY | {"verdict": "Perhaps"},
        LATENCY | {"direction": "exactly"},
        LATENCY | {"limit": float("nan")},
        LATENCY | {"limit": "20ms"},
        {"name": "latency", "verdict": "Pass"},
        "latency",
        None,
    ],
)
def test_a_bad_objective_is_left_out_and_the_others_stay(entry: object) -> None:
    summary = parse(objectives=[entry, LATENCY])
    assert [item.name for item in summary.objectives] == ["latency"]
    assert summary.verdict == "Pass"


def test_a_number_that_is_not_finite_was_not_measured() -> None:
    summary = parse(
        confidence=float("nan"),
        objectives=[LATENCY | {"measured": float("inf")}],
        compressed={"sizeBytes": 10**30, "throughputPerSecond": float("-inf"), "quality": {"a": float("nan"), "b": 1}},
    )
    assert summary.confidence is None
    assert summary.objectives[0].measured is None
    assert summary.compressed.size_bytes is None
    assert summary.compressed.throughput_per_second is None
    assert summary.compressed.quality == {"b": 1}


def test_texts_lists_and_maps_are_cut_to_what_the_status_allows() -> None:
    summary = parse(
        sentence="s" * 1500,
        anomalies=["a" * 300] * 20,
        objectives=[LATENCY] * 20,
        report="r" * 1200,
        compressed={"quality": {str(n): n for n in range(80)}},
    )
    assert len(summary.sentence) == 1024
    assert [len(text) for text in summary.anomalies] == [256] * 16
    assert len(summary.objectives) == 20
    assert len(summary.report) == 1100
    assert len(summary.compressed.quality) == 64


def test_an_unknown_verdict_counts_as_none() -> None:
    assert parse(part="Run", verdict="Perhaps").verdict is None
    assert parse_summary(json.dumps({"part": "Run", "verdict": 1, "digest": "sha256:1"})) == Summary(digest="sha256:1")


@pytest.mark.parametrize("field", sorted({"baseline", "objectives", "anomalies", "error", "report", "held"}))
def test_a_field_of_another_type_is_left_out(field: str) -> None:
    assert parse(**{field: 7}) == Summary(verdict="Pass")


def test_an_error_needs_only_a_reason() -> None:
    summary = parse_summary(json.dumps({"error": {"reason": "InvalidInput", "message": 7, "value": "v" * 2000}}))
    assert summary is not None
    assert summary.error is not None
    assert summary.error.sentence() == ""
    assert len(summary.error.value) == 1024


def test_deeply_nested_brackets_are_not_a_summary() -> None:
    assert parse_summary("[" * 4000) is None


def test_the_summary_allows_what_the_status_allows() -> None:
    """Both models have the same bounds, so the API server accepts every summary of parse_summary."""
    ours = structural(Summary, defaults=False)["properties"]
    status = structural(CompressionJobStatus, defaults=False)["properties"]
    shared = (ours.keys() & status.keys()) - {"confidence"}  # a number in the summary, a text in the status
    assert shared >= {"verdict", "part", "objectives", "anomalies", "baseline", "compressed", "report", "digest"}
    for name in shared:
        assert _without_texts(ours[name]) == _without_texts(status[name]), name


def _without_texts(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_texts(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_texts(value) for key, value in schema.items() if key != "description"}
