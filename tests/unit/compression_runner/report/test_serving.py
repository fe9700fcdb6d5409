"""Served requests in the report: distributions, percentiles, totals, and failures."""

import numpy as np

from compression_runner.report import render_html, render_markdown
from compression_runner.report.serving_rows import serving_view
from compressionjob.estimate import UNBOUNDED_RATE, Estimate
from compressionjob.report import (
    ChangedTensor,
    EngineCheck,
    JobReport,
    Report,
    ServedFigure,
    ServedModel,
    ServedRate,
    ServingReport,
)
from tests.support.reports import HOSTILE, NOW, objective, report


def served(factor: float, **more: object) -> ServedModel:
    generator = np.random.default_rng(1)
    samples = factor * (0.08 + generator.exponential(0.02, 300))
    percentiles = {
        name: Estimate(value=value * factor, low=value * factor * 0.9, high=value * factor * 1.1)
        for name, value in (("p50", 0.094), ("p90", 0.126), ("p99", 0.17))
    }
    figure = ServedFigure(percentiles=percentiles, samples=samples.tolist())
    fields = {"latencies": dict.fromkeys(("ttft", "interToken", "timePerOutputToken", "endToEnd"), figure)}
    return ServedModel.model_validate(
        {**fields, "goodput": Estimate.exact(1.5), "requests_per_second": 2.0, "output_tokens": 31.0, **more}
    )


def with_serving(**more: object) -> Report:
    serving = ServingReport(
        engine="vllm 0.32.0",
        device="CPU",
        request_rate=2.0,
        prompt_tokens=64,
        longest_answer=32,
        requests=240,
        blocks=8,
        baseline=served(1.0),
        compressed=served(1.4, failed=3, failures=[f"{HOSTILE} (3 times)"]),
        ratios={"ttft": {"p90": Estimate(value=1.4, low=1.2, high=1.6)}},
    )
    spec = {"sla": {"ttft": {"percentile": "p90", "max": "150ms"}}}
    limit = objective("ttft", "Fail", unit="seconds", limit=0.15, measured=0.176, low=0.16, high=0.19)
    fields = {"serving": serving, "objectives": [limit], "job": JobReport(name="served", spec=spec)}  # type: ignore[arg-type]
    return report(**{**fields, **more})


def test_the_energy_of_a_token_is_shown_if_it_is_known() -> None:
    joules = {name: Estimate.exact(value) for name, value in (("baseline", 0.5), ("compressed", 0.25))}
    known = with_serving()
    assert known.serving is not None
    sides = {
        name: getattr(known.serving, name).model_copy(update={"energy_joules_per_token": energy})
        for name, energy in joules.items()
    }
    view = serving_view(with_serving(serving=known.serving.model_copy(update=sides)))
    assert view is not None
    assert ("Energy of a token", "0.500 J", "0.250 J") in view.totals
    without = serving_view(known)
    assert without is not None
    assert not any(title == "Energy of a token" for title, _, _ in without.totals)


def test_the_view_has_the_load_distributions_and_every_percentile() -> None:
    view = serving_view(with_serving())
    assert view is not None
    assert "vllm 0.32.0 (CPU) with requests that arrive at random, 2 a second" in view.said
    assert "240 measured requests to each model" in view.said
    assert [plot.title for plot in view.plots] == ["Time to first token", "Gap between tokens"]
    assert view.plots[0].distribution.limit is not None
    assert "3 of the compressed's requests failed" in view.plots[0].missing
    assert len(view.rows) == 12
    (row,) = [row for row in view.rows if row.name == "Time to first token, p90"]
    assert (row.baseline, row.compressed, row.ratio) == ("126 ms", "176 ms", "1.40")
    assert ("Goodput", "1.50/s", "1.50/s") in view.totals


def test_the_page_and_the_markdown_show_them_escaped() -> None:
    shown = with_serving()
    page, markdown = render_html(shown, NOW), render_markdown(shown, NOW)
    assert "<h2>Served requests</h2>" in page
    assert "Time to first token, p90" in page
    assert HOSTILE not in page
    assert "### Served requests" in markdown
    assert "<script>" not in markdown


def test_a_note_says_how_the_engine_loaded_the_model() -> None:
    serving = with_serving().serving
    assert serving
    changed = [ChangedTensor(name=f"layers.0.{kind}", difference=2.0) for kind in ("weight_packed", "weight_scale")]
    check = EngineCheck(places=504, difference=0.0123, same=0.984, scales=210, changed=changed)
    shown = with_serving(serving=serving.model_copy(update={"check": check}))
    note = (
        "vllm 0.32.0 loaded the model whose quality is reported, with all 210 quantization scales. On 504 tokens of "
        "the evaluation data, the loss of a token differs by 0.0123 nats on average, and the most probable token is "
        "the same for 98.4 %. Other values of layers.0.weight_packed and of layers.0.weight_scale change its answers."
    )
    assert note in " ".join(render_html(shown, NOW).split())
    assert "loaded the model whose quality" in render_markdown(shown, NOW)


def test_the_title_of_a_limit_has_its_own_percentile() -> None:
    assert "Time to first token, p90" in render_markdown(with_serving(), NOW)


def test_reports_without_a_serving_engine_show_none() -> None:
    assert serving_view(report()) is None
    assert "Served requests" not in render_html(report(), NOW)


def test_one_rate_is_one_point_of_each_model_side_by_side() -> None:
    view = serving_view(with_serving())
    assert view is not None
    assert view.goodput is not None
    (before,), (after,) = (one.points for one in view.goodput.series)
    assert before.x < after.x
    assert before.y == after.y
    assert [one.left for one in view.goodput.series] == [None, None]
    assert view.rates == ()
    page = render_html(with_serving(), NOW)
    assert "Goodput against rate" in page
    assert "baseline: 1.50/s at 2.00/s" in page


def rates(factor: float) -> list[ServedRate]:
    tried = []
    for rate, share in ((1.0, 1.0), (1.6, 0.97), (2.2, 0.7), (2.6, 0.3)):
        goodput = rate * share * factor
        interval = Estimate(value=goodput, low=0.8 * goodput, high=min(rate * factor, 1.1 * goodput))
        said = "hold" if share > 0.9 else "break"
        tried.append(
            ServedRate(rate=rate * factor, requests=480, goodput=goodput, interval=interval, limits=said)  # type: ignore[arg-type]
        )
    return [*tried, ServedRate(rate=9.0, requests=48, goodput=0.4, limits="trial")]


def with_rates() -> Report:
    baseline = served(1.0, max_rate=Estimate(value=1.8, low=1.6, high=2.2), rates=rates(1.0))
    compressed = served(1.4, max_rate=Estimate(value=1.3, low=0.96, high=UNBOUNDED_RATE), rates=rates(0.6))
    searched = with_serving().serving
    assert searched
    more = {"request_rate": None, "find_max_rate": True, "baseline": baseline, "compressed": compressed, "ratios": {}}
    return with_serving(serving=searched.model_copy(update=more))


def test_a_search_is_a_curve_of_each_model_with_the_interval_of_its_highest_rate() -> None:
    view = serving_view(with_rates())
    assert view is not None
    chart = view.goodput
    assert chart is not None
    # The trial far above the highest rates is out of the picture.
    assert chart.beyond == 2
    for series in chart.series:
        assert len(series.points) == 4
        assert series.path.count("L") == 3
        assert all(point.top <= point.y <= point.bottom for point in series.points)
        assert series.left is not None
        assert series.width > 0
    assert len(view.rates) == 8
    assert ("Highest rate within the limits", "1.80/s (1.60/s to 2.20/s)", "1.30/s (at least 0.960/s)") in view.totals
    page, markdown = render_html(with_rates(), NOW), render_markdown(with_rates(), NOW)
    assert "at rates that were searched" in page
    assert "2 tried rates are higher" in page
    assert "| compressed | 0.960/s | 480 |" in markdown
