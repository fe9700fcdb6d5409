"""report.md, read back by a parser of GitHub's Markdown."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from compression_runner.report import render_html, render_markdown
from compression_runner.report.markdown import block, code, table, text
from compressionjob.report import Environment, PlacementReport, Report, StageReport
from tests.support.reports import HOSTILE, NOW, fallen_back, looked_at, objective, report, reviewed, stage, trusted

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(token: Token) -> str:
    """Return the text that a reader sees of an inline token."""
    return "".join(child.content for child in token.children or [] if child.type in ("text", "code_inline"))


def cells(markdown: str) -> list[list[str]]:
    """Return the rows of every table, as a reader sees them."""
    rows: list[list[str]] = []
    within = False
    for token in PARSER.parse(markdown):
        if token.type == "tr_open":
            rows.append([])
            within = True
        elif token.type == "tr_close":
            within = False
        elif within and token.type == "inline":
            rows[-1].append(shown(token))
    return rows


def words(markdown: str) -> str:
    return "\n".join(shown(token) for token in PARSER.parse(markdown) if token.type == "inline")


def kinds(markdown: str) -> set[str]:
    """Return the types of all tokens, those within lines too."""
    token_kinds = set()
    for token in PARSER.parse(markdown):
        token_kinds |= {token.type, *(child.type for child in token.children or [])}
    return token_kinds


def test_each_objective_with_looks_has_a_line() -> None:
    lines = [line for line in render_markdown(looked_at(), NOW).splitlines() if "at look" in line]
    assert [line.partition(":")[0] for line in lines] == [
        "- **Loss of cosine**", "- **Latency, p99**", "- **Speed-up, p99**", "- **Throughput**", "- **Peak memory**",
    ]  # fmt: skip
    assert "How the verdict was reached" not in render_markdown(report(), NOW)


def test_the_verdict_comes_first_and_every_objective_has_its_row() -> None:
    markdown = render_markdown(report(), NOW)
    assert markdown.startswith("## ✕ Fail: `minilm-int8`\n")
    assert "The limit is broken for latency, p99, which is 7.30 ms (7.10 ms to 8.00 ms)" in words(markdown)
    rows = cells(markdown)
    assert ["Latency, p99", "at most 5.00 ms", "7.30 ms", "7.10 ms to 8.00 ms", "✕ Fail"] in rows
    assert ["Peak memory", "at most 120.0 MB", "not measured", "", "? Inconclusive"] in rows
    assert ["Size", "90.9 MB", "23.0 MB", "0.253 of the baseline"] in rows
    assert ["smaller", "quantize dtype int8", "23.0 MB (25.3 %)", "0.9939", "970 ms"] in rows


def test_tables_are_valid_markdown() -> None:
    markdown = render_markdown(fallen_back(), NOW)
    tokens = PARSER.parse(markdown)
    assert sum(token.type == "table_open" for token in tokens) == 5
    # Every row of a table has the cells of its head, and none is left as a line of text.
    assert not re.search(r"^\|", words(markdown), re.MULTILINE)


def test_the_fallback_is_shown() -> None:
    markdown = render_markdown(fallen_back(), NOW)
    assert "The result of the earlier stage sparse was published." in words(markdown)
    assert "The whole pipeline's verdict is Fail." in words(markdown)
    rows = cells(markdown)
    assert ["size", "23.0 MB", "9.3 MB"] in rows
    assert ["two-bits (given up)", "", "9.3 MB (10.2 %)", "0.5679", "1.00 s"] in rows
    assert [row[:3] for row in rows if row[0] == "half"] == [["half", "45.2 MB", "Fail"]]


def test_a_review_is_shown_without_mentioning_its_reviewer() -> None:
    markdown = render_markdown(reviewed(), NOW)
    assert "Review: Approve by rita@example.com (2026-11-24): the report is read" in words(markdown)
    assert "`rita@example.com`" in markdown


def test_markdown_shows_how_to_reproduce_the_result() -> None:
    markdown = render_markdown(report(), NOW)
    (fence,) = [token for token in PARSER.parse(markdown) if token.type == "fence"]
    assert fence.info == "yaml"
    assert "kind: CompressionJob" in fence.content
    for part in ("compression-runner run job.yaml --workdir trial", "kubectl apply -f job.yaml", "sha256:cafe"):
        assert part in words(markdown)


def test_anomalies_and_notes_are_shown() -> None:
    markdown = render_markdown(report(anomalies=["larger than the baseline: 1.04 times its size"]), NOW)
    assert "Not as promised: larger than the baseline: 1.04 times its size" in words(markdown)
    assert "the hypervisor took 3% away" in words(markdown)


def test_trust_sections_are_shown() -> None:
    markdown = render_markdown(trusted(name="spam | ham"), NOW)
    rows = cells(markdown)
    assert ["spam | ham", "0.9100 (0.9000 to 0.9200)", "0.6300 (0.6200 to 0.6400)", ""] in rows
    assert ["attack", "0.7100 (0.7000 to 0.7200)", "0.4200 (0.4100 to 0.4300)", "0.2900 (0.2800 to 0.3000)"] in rows
    assert "agree at 0.9412" in words(markdown)
    assert "30 of 1,000 answers differ" in words(markdown)


def test_a_stage_shows_its_gpus_energy_and_other_processes() -> None:
    noted = {"energyJoules": 12_345.6, "notes": ["the GPU was throttled in 3 of 40 readings (thermal slowdown)"]}
    trained = stage("distill", "ab", 90_400_000, details={"gpu": noted})
    lines = words(render_markdown(report(stages=[trained]), NOW))
    assert "distill: the GPU used 12.3 kJ; the GPU was throttled in 3 of 40 readings (thermal slowdown)" in lines
    assert "GPU" not in words(render_markdown(report(), NOW))


EVIL = f"| a | b |\n\n# head\n{HOSTILE} [link](http://evil.example) ![](x) @team #12 `code` **b** $x$ &amp; \\| ~~s~~"


def hostile() -> Report:
    untrusted = report(
        job={"name": EVIL, "spec": {"model": {"source": EVIL, "task": EVIL}, "output": {"destination": EVIL}}},
        anomalies=[EVIL],
        sentence=EVIL,
        objectives=[],
        stages=[StageReport(name=EVIL, method=EVIL, parameters={EVIL: EVIL}, fingerprint=EVIL, size_bytes=1, seconds=1,
                            reused=False, details={"gpu": {"notes": [EVIL]}})],
        environment={"notes": [EVIL]},
        provenance={"source": {"uri": EVIL, "digest": EVIL}},
        artifact={"digest": EVIL},
    )  # fmt: skip
    return untrusted.model_copy(update={"review": reviewed().review.model_copy(update={"reason": EVIL})})  # type: ignore[union-attr]


def test_untrusted_text_is_escaped() -> None:
    markdown = render_markdown(hostile(), NOW)
    inside = [
        child
        for token in PARSER.parse(markdown)
        for child in token.children or []
        if child.type not in ("text", "code_inline", "softbreak", "strong_open", "strong_close")
    ]
    assert {child.content for child in inside} <= {"<sub>", "</sub>"}
    raw = [token.content for token in PARSER.parse(markdown) if token.type == "html_block"]
    assert all("script" not in part and "img" not in part for part in raw)
    # GitHub notifies users and links issues only outside of code.
    outside = "".join(
        child.content for token in PARSER.parse(markdown) for child in token.children or [] if child.type == "text"
    )
    assert "@team" not in outside
    assert "#12" not in outside
    assert {len(row) for row in cells(markdown)} == {4, 5}


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example("@0 \x08\r0")  # what is not seen between two spaces
def test_visible_text_is_preserved(value: str) -> None:
    line = " ".join("".join(letter for letter in value if letter.isprintable() or letter.isspace()).split())
    for written in (text(value), code(value)):
        (row,) = cells(table(["a", "b"], [[written, "end"]], "ll"))[1:]
        assert row[-1] == "end"
        assert len(row) == 2
        assert row[0].strip() == line.replace("\\|", "\\ |" if written == code(value) else "\\|").strip()


@given(st.text(alphabet="`a\n", max_size=30))
def test_text_cannot_end_a_code_block(value: str) -> None:
    (token,) = PARSER.parse(block(value, "yaml"))
    assert token.type == "fence"
    assert token.content.rstrip() == value.rstrip()


def test_the_cpus_of_the_measurement_are_named() -> None:
    assert "Measured on CPUs 0-1, pinned; local runs on the machine took turns." in words(
        render_markdown(report(), NOW)
    )
    assert "Measured on" not in words(render_markdown(report(environment=Environment()), NOW))


def test_device_and_placement_are_on_the_page_and_in_markdown() -> None:
    environment = Environment(
        measured_in="onnxruntime-cuda 1.31.1",
        device="NVIDIA H200",
        driver="570.86.15",
        precision="the types of the graph",
        placement=[PlacementReport(model="baseline", nodes={"CUDAExecutionProvider": 12})],
    )
    measured = report(environment=environment)
    page = re.sub(r"<[^>]+>", " ", render_html(measured, NOW))
    for written in (words(render_markdown(measured, NOW)), page):
        for fact in ("NVIDIA H200", "570.86.15", "nodes of the baseline model", "CUDAExecutionProvider 12"):
            assert fact in written


@pytest.mark.parametrize("changes", [
    {}, {"verdict": "Pass", "objectives": [], "sentence": "no limits were set"}, {"held": True},
    {"verdict": "NoLimits", "objectives": [], "sentence": "nothing was judged"},
    {"objectives": [objective("latency", "Inconclusive", unit="seconds", limit=0.1, measured=0.05, low=0.04,
                              high=86400.0)], "verdict": "Inconclusive"},
])  # fmt: skip
def test_page_and_markdown_say_the_same_sentence(changes: dict[str, Any]) -> None:
    changed = report(**changes)
    sentence = words(render_markdown(changed, NOW)).splitlines()[1].split(" The result ")[0]
    assert sentence.rstrip(".") in re.sub(r"<[^>]+>", "", render_html(changed, NOW)).replace("&#39;", "'")
