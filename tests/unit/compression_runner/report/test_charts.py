"""The positions in charts."""

import itertools
import re

import numpy as np
import pytest

from compression_runner.report.charts import PLOT_HEIGHT, PLOT_WIDTH, TRACK, distribution, track
from compression_runner.report.wording import (
    duration,
    flat,
    number,
    per_cent,
    significant,
    spoken,
    spoken_path,
    unbroken,
)
from compressionjob.report import Environment, Machine, NoiseReport, ReportSection
from compressionjob.sla_objectives import Direction
from compressionjob.verdict import LimitVerdict, ObjectiveResult


def _result(
    direction: Direction, verdict: LimitVerdict, limit: float, measured: float, low: float, high: float
) -> ObjectiveResult:
    return ObjectiveResult(
        name="x", direction=direction, unit="ratio", limit=limit, measured=measured, low=low, high=high, verdict=verdict
    )


CASES = [
    _result("at most", "Pass", 0.01, 0.006, 0.0059, 0.0063),
    _result("at most", "Fail", 0.26, 0.4, 0.39, 0.41),
    _result("at most", "Inconclusive", 0.02, 0.019, 0.015, 0.03),
    _result("at least", "Pass", 1.5, 1.9, 1.8, 2.0),
    _result("at least", "Fail", 100.0, 80.0, 75.0, 85.0),
    _result("at most", "Pass", 0.01, -0.002, -0.01, 0.004),
    _result("at least", "Pass", 0.90, 0.951, 0.95, 0.952),
]


@pytest.mark.parametrize("result", CASES, ids=lambda result: f"{result.direction} {result.verdict}")
def test_a_pass_lies_in_the_allowed_span_and_a_fail_outside(result: ObjectiveResult) -> None:
    drawn = track(result)
    assert drawn.value is not None
    start, end = drawn.allowed_start, drawn.allowed_start + drawn.allowed_width
    inside = start <= drawn.low and drawn.low + drawn.width <= end + 0.1
    apart = drawn.low + drawn.width < start or drawn.low > end
    assert inside == (result.verdict == "Pass")
    assert apart == (result.verdict == "Fail")
    assert 0 <= drawn.low <= drawn.value <= drawn.low + drawn.width + 0.1 <= TRACK + 0.1


def test_an_unmeasured_objective_has_a_limit_and_no_dot() -> None:
    drawn = track(ObjectiveResult(name="memory", unit="bytes", limit=100.0, verdict="Inconclusive"))
    assert drawn.value is None
    assert 0 < drawn.limit < TRACK


def test_curves_rise_to_all_queries_and_marks_lie_on_them() -> None:
    samples = list(np.linspace(0.010, 0.020, 1000))
    drawn = distribution(
        [("compressed", samples), ("baseline", [])], {"compressed": {"p50": 0.015, "p99": 0.0199}}, 0.015
    )
    assert drawn is not None
    (curve,) = drawn.curves
    points = [tuple(map(float, point[1:].split())) for point in curve.path.replace(" L", "|L").split("|")]
    assert points[0] == (0.0, PLOT_HEIGHT)
    assert points[-1] == (PLOT_WIDTH, 0.0)
    assert all(now[0] >= before[0] and now[1] <= before[1] for before, now in itertools.pairwise(points))
    x, y, name = curve.marks[0]
    assert name == "p50"
    assert y == PLOT_HEIGHT / 2
    assert x == drawn.limit
    assert curve.beyond == 0


def test_overlapping_marks_have_one_label() -> None:
    marks = {"baseline": {"p50": 0.0100}, "compressed": {"p50": 0.0101}}
    drawn = distribution([("baseline", [0.01] * 9), ("compressed", [0.0101] * 9)], marks, None)
    assert drawn is not None
    assert [curve.marks[0][2] for curve in drawn.curves] == ["p50", ""]


def test_one_slow_query_does_not_hide_the_rest() -> None:
    drawn = distribution([("compressed", [0.01] * 999 + [10.0])], {}, None)
    assert drawn is not None
    assert drawn.curves[0].beyond == 1
    assert drawn.ticks[-1][1].endswith("ms")


def test_without_samples_there_is_no_chart() -> None:
    assert distribution([("baseline", []), ("compressed", [])], {}, None) is None


@pytest.mark.parametrize(("value", "text"), [
    (0.0, "0"), (1.0, "1.00"), (0.25321, "0.253"), (1234.5, "1,234"), (0.00012345, "0.000123"), (-0.5, "-0.500"),
])  # fmt: skip
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(("seconds", "text"), [
    (0.00731, "7.31 ms"), (2.5, "2.50 s"), (0.0000042, "4.20 µs"), (86400.0, "no bound"), (0.0, "0 µs"),
])  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_field_names_become_words() -> None:
    assert number(23_017_000, "bytes") == "23.0 MB"
    assert number(0.00612, "score") == "0.0061"
    assert per_cent(0.2532) == "25.3 %"
    assert spoken("noise.otherShare") == "other share"
    assert spoken("memoryFloorBytes") == "memory floor"
    assert spoken("machine.usableCpus") == "usable CPUs"
    assert spoken("machine.cpu") == "processor"
    assert spoken("noise.frequencyGHz") == "mean frequency in GHz"
    assert spoken_path("source.sizeBytes") == "source size"
    assert flat({"a": {"sizeBytes": 1000, "b": None}, "c": [], "d": True}) == [
        ("a.sizeBytes", "1.0 kB"), ("c", "none"), ("d", "yes"),
    ]  # fmt: skip


def test_there_is_no_line_break_between_figure_and_unit() -> None:
    assert unbroken("9.58 ms to 1,070 ms") == (
        '<span class="figure">9.58 ms</span> to <span class="figure">1,070 ms</span>'
    )
    assert unbroken("uses 40 %; <b>5 samples</b> in v1.2 s3") == (
        'uses <span class="figure">40 %</span>; &lt;b&gt;5 samples&lt;/b&gt; in v1.2 s3'
    )
    assert unbroken("") == ""


@pytest.mark.parametrize("model", [Environment, Machine, NoiseReport])
def test_every_label_of_the_environment_is_words(model: type[ReportSection]) -> None:
    for name, field in model.model_fields.items():
        label = spoken(field.serialization_alias or field.alias or name)
        assert not re.search(r"[a-z][A-Z]|_|\bcpus?\b", label), label
