"""report.html: valid HTML that stands alone, says the verdict and every figure, and runs nothing."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from compression_runner.report import render_html
from compressionjob.estimate import Estimate
from compressionjob.report import ModelFigures, Report, StageReport
from compressionjob.sla import ObjectiveResult

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
VOID = {"meta", "br", "img", "link", "hr", "input", "rect", "line", "circle", "path"}
OPTIONAL_VOID = {"rect", "line", "circle", "path"}


class Page(HTMLParser):
    """A page taken apart: its text, tags and attributes, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in OPTIONAL_VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def _objective(name: str, verdict: str, **more: Any) -> ObjectiveResult:
    return ObjectiveResult.model_validate({"name": name, "verdict": verdict, **more})


OBJECTIVES = [
    _objective("quality.drop", "Pass", unit="score", limit=0.01, measured=0.0061, low=0.0059, high=0.0063),
    _objective("latency", "Fail", unit="seconds", limit=0.005, measured=0.0073, low=0.0071, high=0.0080),
    _objective("latency.speedup", "Pass", direction="at least", limit=1.5, measured=1.87, low=1.8, high=1.95),
    _objective("throughput", "Inconclusive", direction="at least", unit="samples per second", limit=150.0,
               measured=151.0, low=140.0, high=162.0),
    _objective("size.ratio", "Pass", limit=0.26, measured=0.2532, low=0.2532, high=0.2532),
    _objective("memory", "Inconclusive", unit="bytes", limit=1.2e8),
]  # fmt: skip


def _side(size: int, factor: float) -> ModelFigures:
    latencies = {name: Estimate(value=v * factor, low=v * factor * 0.99, high=v * factor * 1.02)
                 for name, v in (("p50", 0.0067), ("p90", 0.0070), ("p99", 0.0073))}  # fmt: skip
    return ModelFigures(
        size_bytes=size,
        peak_memory_bytes=int(size * 2.2),
        latency_seconds={name: found.value for name, found in latencies.items()},
        latency_intervals=latencies,
        throughput_per_second=151.0 / factor,
        throughput_interval=Estimate(value=151.0 / factor, low=140.0 / factor, high=162.0 / factor),
        quality={"cosine": 1.0 if factor > 1 else 0.9939, "neighbours": 1.0 if factor > 1 else 0.93},
    )


def _report(**changes: Any) -> Report:
    generator = np.random.default_rng(0)
    spec = {
        "model": {"source": "s3://models/minilm", "task": "text-embedding"},
        "sla": {"latency": {"percentile": "p99", "max": "5ms"}},
        "output": {"destination": "s3://models/minilm-int8"},
    }
    report = Report(
        job={"name": "minilm-int8", "namespace": "research", "uid": "1234", "spec": spec},
        verdict="Fail",
        confidence=0.95,
        sentence="violated: latency",
        objectives=OBJECTIVES,
        baseline=_side(90_900_000, 1.87),
        compressed=_side(23_017_000, 1.0),
        speedups={"p99": Estimate(value=1.87, low=1.8, high=1.95)},
        quality_drops={
            "cosine": Estimate(value=0.0061, low=0.0059, high=0.0063),
            "neighbours": Estimate(value=0.07, low=0.05, high=0.09),
        },
        stages=[
            StageReport(name="export", method="export", fingerprint="ab" * 32, size_bytes=90_400_000, seconds=1.5,
                        reused=True),
            StageReport(name="smaller", method="quantize", parameters={"dtype": "int8"}, fingerprint="cd" * 32,
                        size_bytes=23_017_000, seconds=0.97, reused=False),
        ],
        latency_samples={
            "baseline": list(0.0125 + generator.exponential(0.0002, 700)),
            "compressed": [*(0.0067 + generator.exponential(0.0001, 699)), 0.5],
        },
        timings={"preflight": 0.5, "stages": 9.5, "measuring": 30.0, "latency": 20.0, "memory": 10.0},
        environment={"threads": 2, "noise": {"stealShare": 0.031}, "notes": ["the hypervisor took 3% away"]},
        provenance={"source": {"uri": "s3://models/minilm", "digest": "sha256:feed"}, "versions": {"onnx": "1.23.2"}},
        artifact={"uri": "", "digest": "sha256:cafe", "files": [{"path": "m.onnx", "sizeBytes": 1, "sha256": "99"}]},
    )  # fmt: skip
    return report.model_copy(update=changes)


def _page(**changes: Any) -> Page:
    return Page(render_html(_report(**changes), NOW))


def test_every_element_is_closed() -> None:
    assert _page().open == []


def test_what_puts_an_objective_in_doubt_is_said_with_the_verdict() -> None:
    doubtful = _objective(
        "latency", "Inconclusive", unit="seconds", limit=0.005, measured=0.0073, low=0.004, high=0.0080
    )
    reason = "other processes used 40% of the machine's CPU time"
    objectives = [doubtful.model_copy(update={"reason": reason})]
    assert reason in _page(verdict="Inconclusive", objectives=objectives).text


def test_energy_is_shown_where_it_was_measured() -> None:
    sides = {
        name: _side(size, factor).model_copy(update={"energy_joules_per_sample": joules})
        for name, size, factor, joules in (("baseline", 90_900_000, 1.87, 0.5), ("compressed", 23_017_000, 1.0, 0.2))
    }
    text = _page(**sides).text
    assert "Energy of a sample" in text
    assert "0.400 of the baseline" in text
    assert "Energy of a sample" not in _page().text


def test_models_that_cannot_keep_the_rate_are_not_compared() -> None:
    endless = dict.fromkeys(("p50", "p90", "p99"), 86_400.0)
    sides = {
        name: _side(1000, 1.0).model_copy(update={"latency_seconds": endless}) for name in ("baseline", "compressed")
    }
    text = _page(**sides, speedups={}, latency_samples={}).text
    assert "neither keeps the rate" in text
    assert "no bound" in text


def test_the_verdict_is_said_first_with_confidence_and_a_plain_sentence() -> None:
    text = _page().text
    assert text.index("Fail") < text.index("Objectives against their limits")
    assert "at 95 % confidence over all objectives together" in text
    assert (
        "The limit is broken for latency, p99, which is 7.30 ms (7.10 ms to 8.00 ms) and must be at most 5.00 ms."
        in text
    )
    assert "The result was not published." in text


def test_anomalies_come_before_the_verdict() -> None:
    text = _page(anomalies=["larger than the baseline: 1.04 times its size"]).text
    assert text.index("Larger than the baseline: 1.04 times its size") < text.index("at 95 % confidence")
    assert "Not as promised" not in _page().text


@pytest.mark.parametrize(("verdict", "sentence"), [
    ("Pass", "All 6 limits are kept."),
    ("Inconclusive", "The measurement cannot tell whether the limit holds for throughput"),
])  # fmt: skip
def test_each_verdict_has_its_sentence(verdict: str, sentence: str) -> None:
    assert sentence in _page(verdict=verdict).text


@pytest.mark.parametrize("figure", [
    "23.0 MB", "90.9 MB", "0.0061", "0.0059 to 0.0063", "0.9939", "1.87", "6.70 ms", "7.30 ms", "151/s",
    "not measured", "at most 120.0 MB", "cdcdcdcdcdcd", "reused", "dtype int8", "sha256:feed", "sha256:cafe", "1.23.2",
    "The hypervisor took 3% away", "3.1 %", "kubectl apply -f job.yaml", "namespace: research", "1 of the compressed's",
    "The run took 40.0 s, of which 75 % measuring.", "2026-11-24 09:30 UTC",
])  # fmt: skip
def test_the_figures_are_there(figure: str) -> None:
    assert figure in _page().text


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = render_html(_report(), NOW)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "href", "srcset", "action", "xlink:href"} & names
    assert not [name for name in names if name.startswith("on")]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.findall(r"https?://", html)


HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>\'"&'


def test_text_from_outside_stays_text() -> None:
    hostile = _report(
        job={"name": HOSTILE, "spec": {"model": {"source": HOSTILE, "task": HOSTILE}, HOSTILE: HOSTILE}},
        anomalies=[HOSTILE],
        stages=[StageReport(name=HOSTILE, method=HOSTILE, parameters={HOSTILE: HOSTILE}, fingerprint=HOSTILE,
                            size_bytes=1, seconds=1, reused=False)],
        environment={HOSTILE: HOSTILE, "notes": [HOSTILE]},
        provenance={HOSTILE: {HOSTILE: [HOSTILE]}},
        artifact={"files": [{"path": HOSTILE, "sizeBytes": 1, "sha256": HOSTILE}]},
        timings={HOSTILE: 1.0},
        latency_samples={},
    )  # fmt: skip
    changed = hostile.model_copy(
        update={
            "objectives": [_objective(HOSTILE[:64], "Fail", limit=1.0, measured=2.0, low=2.0, high=2.0)],
            "compressed": hostile.compressed.model_copy(update={"quality": {HOSTILE: 1.0}}),
        }
    )
    page = Page(render_html(changed, NOW))
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "alert" in page.text


def test_a_run_without_limits_and_without_samples_is_a_page_too() -> None:
    page = _page(
        verdict="Pass", objectives=[], latency_samples={}, timings={}, stages=[], sentence="no limits were set"
    )
    assert "no limits were set" in page.text.lower()
    assert "The job set no limits" in page.text
    assert page.open == []


def test_an_unbounded_percentile_is_said_to_be_so() -> None:
    open_ended = _objective("latency", "Inconclusive", unit="seconds", limit=0.1, measured=0.05, low=0.04, high=86400.0)
    text = _page(verdict="Inconclusive", objectives=[open_ended]).text
    assert "at least 40.0 ms" in text
    assert "24h" not in text


def test_a_language_model_is_told_in_tokens_and_perplexity() -> None:
    spec = {
        "model": {"source": "s3://models/smollm2", "task": "text-generation"},
        "sla": {"quality": {"maxIncrease": "0.01", "max": "12"}, "throughput": {"min": "100"}},
    }
    sides = [_side(538_000_000, 1.87), _side(136_000_000, 1.0)]
    scores = [{"perplexity": 10.8213, "agreement": 1.0}, {"perplexity": 10.9012, "agreement": 0.981}]
    before, after = (side.model_copy(update={"quality": score}) for side, score in zip(sides, scores, strict=True))
    text = _page(
        job={"name": "smollm2", "spec": spec},
        baseline=before,
        compressed=after,
        speedups={"p50": Estimate(value=1.87, low=1.8, high=1.95)},
        quality_drops={
            "perplexity": Estimate(value=0.00738, low=0.006, high=0.009),
            "agreement": Estimate(value=0.019, low=0.015, high=0.02),
        },
        objectives=[
            _objective("quality.increase", "Pass", limit=0.01, measured=0.00738, low=0.006, high=0.009),
            _objective("quality.error", "Pass", unit="error", limit=12.0, measured=10.9012, low=10.1, high=11.8),
            _objective("throughput", "Pass", direction="at least", unit="samples per second", limit=100.0,
                       measured=151.0, low=140.0, high=162.0),
        ],
        environment={"evaluationSamples": 20, "maxAbsDifference": 0.25},
    ).text  # fmt: skip
    assert "Measured on 20 windows of text." in text
    assert "Increase of perplexity" in text
    assert "10.901" in text
    assert "0.738 % more" in text
    assert "140 tokens/s to 162 tokens/s" in text
    assert "Decoding, one text" in text
    assert f"{1 / 0.0067:.0f} tokens/s" in text
    assert "0.0190" in text
