"""report.html: valid, self-contained HTML without scripts, with the verdict and all figures."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from compression_runner.report import render_html
from compressionjob.estimate import Estimate
from compressionjob.report import Report, StageReport
from tests.support.reports import (
    HOSTILE,
    NOW,
    PIXEL,
    fallen_back,
    looked_at,
    objective,
    report,
    reviewed,
    side,
    stage,
    trusted,
)

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


def _page(**changes: Any) -> Page:
    return _opened(report(**changes))


def _opened(shown: Report) -> Page:
    return Page(render_html(shown, NOW))


def test_every_element_is_closed() -> None:
    assert _page().open == []


def test_the_reason_of_an_undecided_objective_is_shown() -> None:
    doubtful = objective(
        "latency", "Inconclusive", unit="seconds", limit=0.005, measured=0.0073, low=0.004, high=0.0080
    )
    reason = "other processes used 40% of the machine's CPU time"
    objectives = [doubtful.model_copy(update={"reason": reason})]
    assert reason in _page(verdict="Inconclusive", objectives=objectives).text


def test_measured_energy_is_shown() -> None:
    sides = {
        name: side(size, factor).model_copy(update={"energy_joules_per_sample": joules})
        for name, size, factor, joules in (("baseline", 90_900_000, 1.87, 0.5), ("compressed", 23_017_000, 1.0, 0.2))
    }
    text = _page(**sides).text
    assert "Energy of a sample" in text
    assert "0.400 of the baseline" in text
    assert "Energy of a sample" not in _page().text


def test_measured_memory_on_a_gpu_is_shown() -> None:
    sides = {
        name: side(size, factor).model_copy(update={"gpu_memory_bytes": used})
        for name, size, factor, used in (
            ("baseline", 90 << 20, 1.0, 640 << 20),
            ("compressed", 23 << 20, 0.5, 320 << 20),
        )
    }
    text = _page(**sides).text
    assert "GPU memory" in text
    assert "0.500 of the baseline" in text
    assert "GPU memory" not in _page().text


def test_a_stage_shows_its_gpus_energy_and_other_processes() -> None:
    noted = {"energyJoules": 2.5e6, "notes": ["other processes were on the GPU in 3 of 40 readings"]}
    text = _page(stages=[stage("distill", "ab", 90_400_000, details={"gpu": noted})]).text
    assert "The GPU used 2.50 MJ; other processes were on the GPU in 3 of 40 readings" in text
    assert "GPU" not in _page().text


def test_overloaded_models_are_not_compared() -> None:
    endless = dict.fromkeys(("p50", "p90", "p99"), 86_400.0)
    sides = {
        name: side(1000, 1.0).model_copy(update={"latency_seconds": endless}) for name in ("baseline", "compressed")
    }
    text = _page(**sides, speedups={}, latency_samples={}).text
    assert "both are slower than the rate" in text
    assert "no bound" in text


def test_the_verdict_comes_first_with_confidence_and_a_sentence() -> None:
    text = _page().text
    assert text.index("Fail") < text.index("Objectives against their limits")
    assert "at 95 % confidence over all objectives together" in text
    assert (
        "The limit is broken for latency, p99, which is 7.30 ms (7.10 ms to 8.00 ms) and must be at most 5.00 ms."
        in text
    )
    assert "The result was not published." in text


def test_each_objective_has_a_chart_of_its_interval() -> None:
    page = _opened(looked_at())
    assert page.open == []
    assert page.tags.count("desc") == len(looked_at().looks) == 5
    names = [value for name, value in page.attributes if name == "id"]
    referred = [part for name, value in page.attributes if name == "aria-labelledby" for part in value.split()]
    assert sorted(referred) == sorted(names)


def test_reports_without_looks_show_none() -> None:
    assert "How the intervals closed" not in _page().text
    assert "How the intervals closed" not in _page(objectives=[], looks=looked_at().looks).text


def test_anomalies_come_before_the_verdict() -> None:
    text = _page(anomalies=["larger than the baseline: 1.04 times its size"]).text
    assert text.index("Larger than the baseline: 1.04 times its size") < text.index("at 95 % confidence")
    assert "Not as promised" not in _page().text


@pytest.mark.parametrize(("verdict", "sentence"), [
    ("Pass", "All 6 limits hold."),
    ("Inconclusive", "The measurement cannot decide whether the limit holds for throughput"),
])  # fmt: skip
def test_each_verdict_has_its_sentence(verdict: str, sentence: str) -> None:
    assert sentence in _page(verdict=verdict).text


@pytest.mark.parametrize("figure", [
    "23.0 MB", "90.9 MB", "0.0061", "0.0059 to 0.0063", "0.9939", "1.87", "6.70 ms", "7.30 ms", "151/s",
    "not measured", "at most 120.0 MB", "cdcdcdcdcdcd", "reused", "dtype int8", "sha256:feed", "sha256:cafe", "1.23.2",
    "Measured on CPUs 0-1, pinned; local runs on the machine took turns.",
    "The hypervisor took 3% away", "3.1 %", "kubectl apply -f job.yaml", "namespace: research", "1 of the compressed's",
    "The run took 40.0 s, of which 75 % measuring.", "2026-11-24 09:30 UTC",
])  # fmt: skip
def test_the_page_shows_the_figures(figure: str) -> None:
    assert figure in _page().text


@pytest.mark.parametrize(
    "shown", [report(), fallen_back(), trusted(), looked_at()], ids=["plain", "fallen back", "trusted", "looked at"]
)
def test_the_page_loads_nothing_and_runs_no_script(shown: Report) -> None:
    html = render_html(shown, NOW)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "srcset", "action", "xlink:href"} & names
    # Pictures lie in the page itself.
    targets = {value for name, value in page.attributes if name == "href"}
    assert targets <= {PIXEL, *(f"#{value}" for name, value in page.attributes if name == "id")}
    assert not [name for name in names if name.startswith("on")]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.findall(r"https?://", html)


def test_untrusted_text_is_escaped() -> None:
    hostile = report(
        job={"name": HOSTILE, "spec": {"model": {"source": HOSTILE, "task": HOSTILE}, HOSTILE: HOSTILE}},
        anomalies=[HOSTILE],
        stages=[StageReport(name=HOSTILE, method=HOSTILE, parameters={HOSTILE: HOSTILE}, fingerprint=HOSTILE,
                            size_bytes=1, seconds=1, reused=False, details={"gpu": {"notes": [HOSTILE]}})],
        environment={HOSTILE: HOSTILE, "notes": [HOSTILE]},
        provenance={HOSTILE: {HOSTILE: [HOSTILE]}},
        artifact={"files": [{"path": HOSTILE, "sizeBytes": 1, "sha256": HOSTILE}]},
        timings={HOSTILE: 1.0},
        latency_samples={},
    )  # fmt: skip
    changed = hostile.model_copy(
        update={
            "objectives": [objective(HOSTILE[:64], "Fail", limit=1.0, measured=2.0, low=2.0, high=2.0)],
            "compressed": hostile.compressed.model_copy(update={"quality": {HOSTILE: 1.0}}),
        }
    )
    page = Page(render_html(changed, NOW))
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "alert" in page.text


# The second is what a version before NoLimits wrote of such a job.
@pytest.mark.parametrize(("verdict", "sentence"), [("NoLimits", "nothing judged"), ("Pass", "no limits were set")])
def test_a_run_without_limits_and_samples_has_a_page(verdict: str, sentence: str) -> None:
    page = _page(verdict=verdict, objectives=[], latency_samples={}, timings={}, stages=[], sentence=sentence)
    assert "No limits" in page.text
    assert "The job sets no limits, so nothing was judged." in page.text
    assert all(words not in page.text for words in ("✓", "over all objectives together", "kept"))
    assert page.open == []


def test_an_unbounded_percentile_is_marked() -> None:
    open_ended = objective("latency", "Inconclusive", unit="seconds", limit=0.1, measured=0.05, low=0.04, high=86400.0)
    text = _page(verdict="Inconclusive", objectives=[open_ended]).text
    assert "at least 40.0 ms" in text
    assert "24h" not in text


def test_a_language_model_is_shown_in_tokens_and_perplexity() -> None:
    spec = {
        "model": {"source": "s3://models/smollm2", "task": "text-generation"},
        "sla": {"quality": {"maxIncrease": "0.01", "max": "12"}, "throughput": {"min": "100"}},
    }
    sides = [side(538_000_000, 1.87), side(136_000_000, 1.0)]
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
            objective("quality.increase", "Pass", limit=0.01, measured=0.00738, low=0.006, high=0.009),
            objective("quality.error", "Pass", unit="error", limit=12.0, measured=10.9012, low=10.1, high=11.8),
            objective("throughput", "Pass", direction="at least", unit="samples per second", limit=100.0,
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


def test_a_fallback_is_shown_with_the_verdict_and_compared() -> None:
    page = _opened(fallen_back())
    text = page.text
    assert text.index("Given up: half, two-bits.") < text.index("Objectives against their limits")
    assert "The result of the earlier stage sparse was published." in text
    assert "The whole pipeline's verdict is ✕ Fail. The limit is broken for loss of cosine, which is 0.4321" in text
    # Figures of both, every candidate with why, stages that were given up, and how many chances were corrected for.
    for figure in ("9.3 MB", "2.34 times", "0.5679", "0.9544", "0.0456", "widened for 3 results"):
        assert figure in text, figure
    assert "The result of sparse replaces the whole pipeline's, without stages half, two-bits." in text
    assert page.open == []


def test_without_a_passing_candidate_the_page_shows_all() -> None:
    fallback = fallen_back().fallback
    assert fallback is not None
    nothing = fallback.model_copy(update={"published": None, "given_up": [], "candidates": fallback.candidates[:1]})
    text = _page(fallback=nothing).text
    assert "The results of earlier stages break the limits too." in text
    assert "0.0456" in text
    assert "Given up:" not in text


def test_the_review_is_shown_with_the_verdict() -> None:
    text = _opened(reviewed()).text
    said = "Approved by rita@example.com on 2026-11-24: the report is read"
    assert text.index(said) < text.index("Objectives against their limits")


def test_a_held_result_has_the_manifest_of_its_review() -> None:
    text = _page(held=True).text
    assert "The result waits for its review; nothing is published yet." in text
    assert "kind: CompressionReview" in text
    assert "digest: sha256:cafe" in text
    assert "jobUID: " in text
    assert "kind: CompressionReview" not in _page().text


def test_reproduction_has_inputs_commands_and_versions() -> None:
    text = _page().text
    steps = text[text.index("How to reproduce") :]
    for part in ("s3://models/minilm with digest sha256:feed", "kind: CompressionJob", "kubectl apply -f job.yaml",
                 "compression-runner run job.yaml --workdir trial", "sha256:cafe", "1.23.2"):  # fmt: skip
        assert part in steps, part


def test_charts_have_an_alternative_text() -> None:
    html = render_html(report(), NOW)
    labels = re.findall(r'<svg[^>]*role="img" aria-label="([^"]+)"', html)
    assert len(labels) == html.count("<svg") == 7
    assert labels[1] == "Latency, p99: 7.30 ms, interval 7.10 ms to 8.00 ms, limit at most 5.00 ms: Fail"


def test_trust_figures_have_their_sections() -> None:
    page = _opened(trusted())
    text = page.text
    for part in (
        "The gap between best and worst is 0.0600 of the baseline and 0.3300 of the compressed model: 0.2700 wider",
        "1,840 samples", "0.6300", "Share of right answers to 500 inputs, judged by labels.", "corruption: blur",
        "0.05 of the channel's range; 10 steps", "0.4200", "agree at 0.9412", "sample 312, answer 8", "mean 9 = 9.5",
        "-0.9", "2 less important features are left out.",
        "30 of 1,000 answers differ from the baseline's (2.00 to 4.00 %); 21 were right and are wrong now, 9 were",
    ):  # fmt: skip
        assert part in text, part
    assert "mean 0 = 0.5" not in text
    assert page.open == []
    # The image itself, and again below the attributions of each model (four patches each), but once in the file.
    assert [value for name, value in page.attributes if name == "href"] == [PIXEL, "#sample-1", "#sample-1"]
    assert ("id", "sample-1") in page.attributes
    strengths = [value for name, value in page.attributes if name == "opacity"]
    assert strengths == [".35", "0.85", "0.42", "0.17", "0.0", ".35", "0.68", "0.34", "0.17", "0.0"]


@pytest.mark.parametrize("picture", [
    "https://evil.example/x.png", "javascript:alert(1)", "data:text/html;base64,AAAA", "data:image/svg+xml;base64,AAAA",
    f'{PIXEL}" onload="alert(1)', f"{PIXEL}\n",
])  # fmt: skip
def test_an_invalid_picture_is_left_out(picture: str) -> None:
    page = _opened(trusted(picture, name=HOSTILE))
    assert not [value for name, value in page.attributes if name == "href"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "image" not in page.tags
    assert "attributions of the baseline" in " ".join(value for _, value in page.attributes)


def test_sections_without_measurements_are_left_out() -> None:
    text = _page().text
    for title in ("Quality by group", "Robustness", "Attribution agreement", "Prediction flips"):
        assert title not in text


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_charts_have_the_contrast_of_wcag(theme: int) -> None:
    css = render_html(report(), NOW)
    colours = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]))
    texts = [("ink", "paper"), ("soft", "paper"), ("ink", "wash"), ("on-mark", "pass"), ("on-mark", "fail"),
             ("on-mark", "open")]  # fmt: skip
    texts += [(kind, ground) for kind in ("pass", "fail", "open") for ground in ("paper", f"{kind}-wash")]
    texts += [("ink", f"{kind}-wash") for kind in ("pass", "fail", "open")]
    for front, ground in texts:
        assert _contrast(colours[front], colours[ground]) >= 4.5, (front, ground)
    for front, ground in [("before", "paper"), ("after", "paper"), ("ink", "lane"), ("ink", "kept"), ("pass", "kept")]:
        assert _contrast(colours[front], colours[ground]) >= 3, (front, ground)


def test_separately_judged_parts_are_named_worst_first() -> None:
    parts = [{"name": f"out{index}", "metric": "cosine", "score": index / 10} for index in range(10)]
    text = _page(qualityParts=parts).text
    assert (
        "10 parts are judged separately, and a sample has the score of its worst part. Worst first: "
        "out0: 0.0000; out1: 0.1000" in text
    )
    assert "out7: 0.7000; and 2 more." in text
    assert "judged separately" not in _page().text


def test_memory_is_written_in_the_unit_of_its_limit() -> None:
    looked = looked_at()
    (memory,) = (item for item in looked.objectives if item.name == "memory")
    binary = memory.model_copy(update={"limit": float(2**27)})
    others = [item for item in looked.objectives if item.name != "memory"]
    page = _opened(looked.model_copy(update={"objectives": [*others, binary]}))
    text = " ".join(page.text.split())
    for part in ("at most 128Mi", "47.9Mi to 48.6Mi", "limit 128Mi"):
        assert part in text, part
    assert "50.6 MB" not in text
    assert "at most 120.0 MB" in " ".join(_opened(looked).text.split())
