"""The text of the looks: when and why measuring ended, and the decidable difference."""

from compression_runner.report.interim_looks import LooksRow, looks_rows
from compression_runner.report.objective_rows import terms_of
from compressionjob.report import ObjectiveLooks
from tests.support.reports import about, looked_at, looks


def _rows(*histories: ObjectiveLooks) -> list[LooksRow]:
    report = looked_at(**({"looks": list(histories)} if histories else {}))
    return looks_rows(report, terms_of(report))


def test_each_end_of_measuring_has_a_sentence() -> None:
    assert [row.course for row in _rows()] == [
        "Decided at look 2 of at most 4, after 4.10 s and 250 samples. Measuring ended there.",
        "Decided at look 3 of at most 10, after 14.0 s. Measuring went on to look 4, after 1m1s and 1,880 queries to "
        "each model, for another limit.",
        "Decided at look 2 of at most 10, after 5.00 s. Measuring went on to look 4, after 1m1s and 1,880 queries to "
        "each model, for another limit.",
        "Still open at look 3 of at most 10, after 1m13s and 60 blocks of each model, when measuring ended: the time "
        "limit or the largest number of measurements was reached.",
        "Decided at look 1 of at most 4, after 1.90 s and 3 processes. Measuring ended there.",
    ]


def test_an_open_limit_on_quality_has_used_all_samples() -> None:
    (row,) = _rows(looks("quality.drop", "samples", [(2.0, 1000, about(0.01, 0.02), "Inconclusive")], planned=1))
    assert row.course.endswith("1,000 samples, when measuring ended: all evaluation samples are used.")


def test_a_verdict_counts_from_its_last_change() -> None:
    early = looks("latency", "queries", [
        (1.0, 10, about(0.004, 0.0005), "Pass"), (2.0, 20, about(0.005, 0.001), "Inconclusive"),
        (3.0, 40, about(0.007, 0.0005), "Fail"), (4.0, 80, about(0.007, 0.0003), "Fail"),
    ])  # fmt: skip
    (row,) = _rows(early)
    assert row.course.startswith("Decided at look 3 of at most 10, after 3.00 s.")
    assert row.picture.decisive == row.picture.whiskers[2]
    assert row.verdict == "Fail"


def test_the_power_is_in_the_unit_of_the_limit() -> None:
    assert [row.power for row in _rows()] == [
        "This run can decide limits that are 0.0021 or more away from the measured value. Half that distance would "
        "take about 1,000 samples, four times as many.",
        "This run can decide limits that are 200 µs or more away from the measured value. Half that distance would "
        "take about 4m4s of measuring, four times as long.",
        "This run can decide limits that are 0.0800 or more away from the measured value. Half that distance would "
        "take about 4m4s of measuring, four times as long.",
        "This run can decide limits that are 11.0/s or more away from the measured value. Half that distance would "
        "take about 4m52s of measuring, four times as long.",
        "This run can decide limits that are 400.0 kB or more away from the measured value. Half that distance would "
        "take about 12 processes, four times as many.",
    ]


def test_unbounded_and_exact_figures_have_their_sentence() -> None:
    without, exact = (looked_at().looks[1].model_copy(update={"resolution": reach}) for reach in (None, 0.0))
    assert "no limit there can be decided" in _rows(without)[0].power
    assert _rows(exact)[0].power == "The figure is exact: any limit is decided."


def test_looks_of_an_earlier_version_have_no_planned_number() -> None:
    unplanned = looked_at().looks[1].model_copy(update={"planned": None, "seconds_for_half": None})
    (row,) = _rows(unplanned)
    assert row.course.startswith("Decided at look 3, after 14.0 s.")
    assert row.power.endswith("away from the measured value.")


def test_looks_without_a_limit_or_without_a_look_are_left_out() -> None:
    unknown = looked_at().looks[1].model_copy(update={"objective": "latency.jitter"})
    assert _rows(unknown, looks("latency", "queries", [])) == []
