"""Comparison of two jobs."""

import pytest

from compressionjob.report import SideSummary
from compressionjob.verdict import ObjectiveResult
from kubectl_compress.commands.compare import page
from kubectl_compress.differences import Difference, differences
from kubectl_compress.display.model_comparison import Judgement, Row, judge, ratios_of, rows_of
from tests.support.manifests import job as manifest
from tests.support.screens import COMPRESSED, drawn, job, judged


@pytest.mark.parametrize(
    ("first", "second", "less_is_better", "expected"),
    [
        (2.0, 1.0, True, "better"),
        (1.0, 2.0, True, "worse"),
        (2.0, 1.0, False, "worse"),
        (1.0, 2.0, False, "better"),
        (1.0, 1.0000001, True, "same"),
        (None, 1.0, True, ""),
    ],
)
def test_the_direction_decides_what_a_difference_means(
    first: float | None, second: float | None, less_is_better: bool, expected: Judgement
) -> None:
    assert Row("x", "ratio", first, second, less_is_better=less_is_better).judgement == expected


def test_less_of_an_error_and_more_of_a_score_are_better() -> None:
    one = SideSummary(size_bytes=1, quality={"perplexity": 12.0, "accuracy": 0.90})
    two = SideSummary(size_bytes=1, quality={"perplexity": 13.0, "accuracy": 0.91})
    values = {row.name: row.judgement for row in rows_of(one, two)}
    assert values == {"size": "same", "perplexity": "worse", "accuracy": "better"}


def test_ratios_are_to_each_jobs_own_baseline() -> None:
    slow = {"sizeBytes": 90_900_000, "latencySeconds": {"p50": 0.0262}}
    other = {"sizeBytes": 22_830_000, "latencySeconds": {"p50": 0.0104}}
    first, second = job("a", judged()), job("b", judged(baseline=slow, compressed=other))
    values = {row.name: row for row in ratios_of(first, second)}
    assert values["speed-up p50"].judgement == "same", "twice as slow a machine is no worse a result"
    assert values["speed-up p99"].second is None
    assert values["size, of its baseline"].first == pytest.approx(0.2512, rel=1e-3)


def limit(low: float, high: float, direction: str = "at most") -> ObjectiveResult:
    fields = {"name": "latency", "direction": direction, "unit": "seconds", "limit": 1.0, "verdict": "Pass"}
    return ObjectiveResult.model_validate(fields | {"measured": (low + high) / 2, "low": low, "high": high})


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (limit(1, 2), limit(3, 4), "worse"),
        (limit(3, 4), limit(1, 2), "better"),
        (limit(1, 2, "at least"), limit(3, 4, "at least"), "better"),
        (limit(1, 3), limit(2, 4), "undecided"),
        (limit(2, 2), limit(2, 2), "same"),
        (limit(1, 2), limit(3, 4, "at least"), ""),
        (None, limit(1, 2), ""),
    ],
)
def test_intervals_decide_which_result_is_better(
    one: ObjectiveResult | None, two: ObjectiveResult | None, expected: Judgement
) -> None:
    assert judge(one, two) == expected


def test_specs_are_compared_with_their_defaults_and_part_by_part() -> None:
    first = manifest(spec__retries=3)["spec"]  # the default, written out
    second = manifest(spec__runtime="gpu", spec__pipeline=[{"quantize": {"method": "dynamic"}}])["spec"]
    values = differences(first, second)
    assert "spec.retries" not in [item.field for item in values]
    assert values[-1] == Difference("spec.runtime", "cpu", "gpu")
    assert Difference("spec.pipeline[2].pack.codec", "zstd", "") in values
    parts = [item.field.split(".")[1].split("[")[0] for item in values]
    assert parts == sorted(parts, key=parts.index)


def test_a_spec_that_this_version_does_not_know_is_compared_as_it_is() -> None:
    first = manifest()["spec"] | {"budget": "5"}
    assert differences(first, first | {"budget": "7"}) == [Difference("spec.budget", "5", "7")]


def test_page_shows_judgements_and_overlapping_intervals() -> None:
    smaller = COMPRESSED | {"sizeBytes": 20_000_000, "quality": {"cosine": 0.9960}}
    first, second = job("a", judged()), job("b", judged(compressed=smaller), spec__retries=5)
    text = drawn(*page(first, second, differences(first.spec, second.spec)))
    rows = [line.split() for line in text.splitlines()]
    assert ["size", "22.8", "MB", "20.0", "MB", "-12.4", "%", "better"] in rows
    assert ["cosine", "0.9969", "0.9960", "-0.0009", "worse"] in rows
    assert ["latency", "p99", "7.3ms", "7.3ms", "same"] in rows
    assert ["retries", "3", "5"] in rows
    assert "intervals overlap" in text
    assert "are from two runs" in text


def test_a_job_without_a_verdict_is_named() -> None:
    first, second = job("a", judged()), job("b", {"phase": "Running"})
    text = drawn(*page(first, second, []))
    assert "b has no figures: it is Running" in text
    assert "their specs are the same" in text
    assert "are from two runs" not in text
