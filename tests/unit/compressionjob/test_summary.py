"""The termination message: always valid JSON within Kubernetes' limit."""

import json

from hypothesis import given
from hypothesis import strategies as st

from compressionjob.report import MAX_SUMMARY_BYTES, SideSummary, Summary, Violation, parse_summary
from compressionjob.sla_objectives import NAMES
from compressionjob.verdict import ObjectiveResult

FULL = Summary(
    verdict="Fail",
    confidence=0.95,
    sentence="20 limits are broken: " + "size.ratio is 0.5, limit at most 0.26; " * 20,
    objectives=[
        ObjectiveResult(name=name, limit=1 / 3, measured=2 / 3, low=0.1 / 3, high=8 / 9, verdict="Fail")
        for name in sorted(NAMES)[:9]
    ],
    anomalies=["larger than the baseline: 1.20 times its size" * 4] * 6,
    baseline=SideSummary(size_bytes=90_868_370, latency_seconds={"p50": 0.0144, "p90": 0.015, "p99": 0.0158}),
    compressed=SideSummary(size_bytes=23_000_000, quality={"cosine": 0.9941234567}),
    report="s3://models/minilm-int8-report",
)


def test_a_full_summary_fits_and_can_be_parsed() -> None:
    message = FULL.to_message()
    assert len(message.encode()) <= MAX_SUMMARY_BYTES
    summary = parse_summary(message)
    assert summary is not None
    assert summary.verdict == "Fail"
    assert summary.compressed.size_bytes == 23_000_000
    assert len(summary.objectives) == 9


@given(st.text(max_size=512), st.integers(0, 40))
def test_a_fallback_survives_the_cutting_of_texts(text: str, count: int) -> None:
    objectives = [FULL.objectives[0]] * count
    full = FULL.model_copy(update={"fallback": f"the result of {text}", "objectives": objectives})
    message = full.to_message()
    assert len(message.encode()) <= MAX_SUMMARY_BYTES
    summary = parse_summary(message)
    assert summary is not None
    assert summary.fallback.startswith("the result of")


def test_reasons_are_cut_before_objectives_are_left_out() -> None:
    noisy = [item.model_copy(update={"verdict": "Inconclusive", "reason": "noise " * 40}) for item in FULL.objectives]
    message = FULL.model_copy(update={"objectives": noisy}).to_message()
    assert len(message.encode()) <= MAX_SUMMARY_BYTES
    summary = parse_summary(message)
    assert summary is not None
    assert len(summary.objectives) == 9
    assert all(item.reason.startswith("noise") for item in summary.objectives)


def test_remedies_survive_the_cutting_of_texts() -> None:
    more = {"verdict": "Inconclusive", "reason": "noise " * 40, "more_seconds": 840.0, "more_samples": 3000}
    message = FULL.model_copy(
        update={"objectives": [item.model_copy(update=more) for item in FULL.objectives]}
    ).to_message()
    assert len(message.encode()) <= MAX_SUMMARY_BYTES
    summary = parse_summary(message)
    assert summary is not None
    assert [(item.more_seconds, item.more_samples) for item in summary.objectives] == [(840.0, 3000)] * 9


@given(st.text(max_size=20_000), st.text(max_size=20_000), st.lists(st.text(max_size=256), max_size=16))
def test_the_message_fits_and_keeps_the_reason_for_any_text(message: str, value: str, anomalies: list[str]) -> None:
    error = Violation(reason="InvalidInput", field="spec.model.source", value=value, message=message, remedy=message)
    text = Summary(error=error, anomalies=anomalies).to_message()
    assert len(text.encode()) <= MAX_SUMMARY_BYTES
    summary = parse_summary(text)
    assert summary is not None
    assert summary.error is not None
    assert summary.error.reason == "InvalidInput"


def test_other_termination_messages_are_not_a_summary() -> None:
    assert parse_summary("") is None
    assert parse_summary("Killed") is None
    assert parse_summary(json.dumps([1])) is None
    assert parse_summary(json.dumps({"foo": 1})) is None
    assert parse_summary(json.dumps({"verdict": "Perhaps"})) is None


def test_unknown_fields_of_a_newer_pod_are_ignored() -> None:
    summary = parse_summary(json.dumps({"verdict": "Pass", "energyJoules": 3.2}))
    assert summary is not None
    assert summary.verdict == "Pass"


def test_a_limit_in_powers_of_two_stays_exact() -> None:
    limit = {"name": "memory", "unit": "bytes", "limit": 2.0**30, "measured": 101_537_000.123, "verdict": "Pass"}
    summary = Summary.model_validate({"verdict": "Pass", "objectives": [limit]})
    back = parse_summary(summary.to_message())
    assert back is not None
    (memory,) = back.objectives
    assert (memory.limit, memory.measured) == (2.0**30, 101_537_000.0)
    assert memory.write(memory.limit) == "1Gi"
