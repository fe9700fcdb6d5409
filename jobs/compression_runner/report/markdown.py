"""report.md: the verdict and its figures as Markdown for a pull request (GitHub's dialect)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from compression_runner.report import wording
from compression_runner.report.by_stage import stage_rows
from compression_runner.report.given_up import GivenUp, given_up
from compression_runner.report.key_figures import key_figures
from compression_runner.report.looks import LooksRow, looks_rows
from compression_runner.report.objective_rows import (
    Terms,
    objective_row,
    said_of,
    terms_of,
    verdict_of,
    verdict_sentence,
)
from compression_runner.report.page import VERDICTS, publication
from compression_runner.report.reproducing import Reproduction, reproduction
from compression_runner.report.trust_rows import Pairs, TrustView, trust_view
from compressionjob.plain_text import plain
from compressionjob.report import Report

# What may begin inline markup, an entity, a formula, or a link that GitHub makes of an address.
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>~&$]|:(?=//)|(?<=www)\.)")
_MENTION: Final = re.compile(r"[@#]\w")


def render_markdown(report: Report, now: datetime | None = None) -> str:
    """Return the report as Markdown; text from outside stays text, and nobody is mentioned."""
    terms = terms_of(report)
    parts = [
        *_head(report, terms),
        *_objectives(report, terms),
        *_looks(looks_rows(report, terms)),
        *_given_up(given_up(report, terms)),
        *_figures(report, terms),
        *_stages(report, terms),
        *_trust(trust_view(report)),
        *_conditions(report),
        *_reproduction(reproduction(report)),
        f"<sub>Written {(now or datetime.now(UTC)).strftime('%Y-%m-%d %H:%M UTC')} by compression-runner. All "
        f"intervals hold together at {wording.per_cent(report.confidence)} confidence.</sub>",
    ]
    return plain("\n\n".join(part for part in parts if part) + "\n")


def text(value: object) -> str:
    """Return text from outside as one line of Markdown that shows it as it is."""
    line = _line(value)
    # A backslash does not keep GitHub from telling somebody, or from linking an issue; code does.
    return code(line) if _MENTION.search(line) else _SPECIAL.sub(r"\\\1", line)


def code(value: object) -> str:
    """Return text from outside as a code span, in which GitHub sees neither markup nor mentions."""
    line = _line(value)
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    # In a cell a backslash before a bar would be taken for the bar's own.
    return f"{fence}{pad}{line}{pad}{fence}".replace("\\|", "\\ |")


def _line(value: object) -> str:
    """Text as one line without what is not seen: control characters, and those that turn the direction of writing."""
    seen = "".join(letter for letter in str(value) if letter.isprintable() or letter.isspace())
    return " ".join(seen.split())


def block(value: str, language: str) -> str:
    """Return lines from outside as a code block that they cannot end."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", value)), default=0) + 1)
    return f"{fence}{language}\n{value.rstrip()}\n{fence}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: str) -> str:
    """Return a table; `numbers` has an r for each column that is set right, and an l for each other."""
    rule = ["---:" if kind == "r" else "---" for kind in numbers]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (titles, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _head(report: Report, terms: Terms) -> list[str]:
    verdict = verdict_of(report)
    mark, word, meaning = VERDICTS[verdict]
    rows = [objective_row(item, terms) for item in report.objectives]
    sentence = verdict_sentence(verdict, rows) or said_of(report) or meaning
    confidence = f"Confidence {wording.per_cent(report.confidence)} over all objectives together." if rows else ""
    about = [report.job.task, report.job.source, report.job.destination]
    review = report.review
    return [
        f"## {mark} {word}: {code(report.job.name or 'job')}",
        f"**{text(sentence)}** {text(publication(report))} {confidence}".rstrip(),
        "\n".join(f"> **Not as promised:** {text(anomaly)}" for anomaly in report.anomalies),
        f"Review: {review.decision} by {code(review.reviewer)} ({text(review.time)}): {text(review.reason)}"
        if review
        else "",
        " · ".join(code(item) for item in about if item),
    ]


def _objectives(report: Report, terms: Terms) -> list[str]:
    rows = [objective_row(item, terms) for item in report.objectives]
    if not rows:
        return []
    cells = [
        [
            text(row.title),
            text(row.limit),
            text(row.measured),
            text(row.span or ("exact" if row.result.measured is not None else "")),
            f"{VERDICTS[row.result.verdict][0]} {row.result.verdict}",
        ]
        for row in rows
    ]
    return [table(["objective", "limit", "measured", "interval", "verdict"], cells, "lrrrl")]


def _looks(rows: Sequence[LooksRow]) -> list[str]:
    lines = [f"- **{text(row.title)}**: {text(row.course)} {text(row.power)}" for row in rows]
    return ["### How the verdict was reached", "\n".join(lines)] if lines else []


def _given_up(told: GivenUp | None) -> list[str]:
    if told is None:
        return []
    compared = [[text(row.name), text(row.published), text(row.whole)] for row in told.comparison]
    tried = [[text(row.stage), text(row.size), row.verdict or "", text(row.why)] for row in told.candidates]
    return [
        "### What was given up",
        text(told.headline),
        f"The whole pipeline's verdict is **{told.verdict}**. {text(told.sentence)}",
        table(["", "published", "the whole pipeline"], compared, "lrr") if compared else "",
        table(["earlier result of", "size", "verdict", "why"], tried, "lrll") if tried else "",
    ]


def _figures(report: Report, terms: Terms) -> list[str]:
    rows = [
        [text(one.title), text(one.before), text(one.value), text(one.change)] for one in key_figures(report, terms)
    ]
    return ["### Figures", table(["", "baseline", "compressed", ""], rows, "lrrl")]


def _stages(report: Report, terms: Terms) -> list[str]:
    found = stage_rows(report, terms.metric)
    rows = [
        [
            text(row.name) + (" (given up)" if row.given_up else ""),
            code(row.about),
            f"{text(row.size)} ({text(row.share)})",
            text(row.quality),
            text(row.seconds) + (" (reused)" if row.reused else ""),
        ]
        for row in found
    ]
    parts = ["### Stages", table(["stage", "method", "size", text(terms.metric), "time"], rows, "llrrr")]
    worked = [f"- {text(row.name)}: {text(row.gpu)}" for row in found if row.gpu]
    return [*parts, "\n".join(worked)] if worked else parts


def _trust(view: TrustView) -> list[str]:
    parts: list[str] = []
    for title, said, pairs in (
        ("Quality by group", view.groups_said, view.groups),
        ("Robustness", view.robustness_said, view.robustness),
    ):
        if pairs:
            parts += [f"### {title}", text(said), _pairs(pairs)]
    if view.attributions_said:
        parts += ["### What the answers rest on", text(view.attributions_said)]
    if view.flips_said:
        parts += ["### Answers that changed", text(view.flips_said)]
    return parts


def _pairs(pairs: Pairs) -> str:
    def cell(figure: str, span: str) -> str:
        return text(f"{figure} ({span})" if span else figure)

    rows = [
        [
            text(row.name),
            cell(row.baseline, row.baseline_span),
            cell(row.compressed, row.compressed_span),
            cell(row.lost, row.lost_span),
        ]
        for row in pairs.rows
    ]
    return table(["", "baseline", "compressed", "lost"], rows, "lrrr")


def _conditions(report: Report) -> list[str]:
    notes = [f"- {text(note)}" for note in report.environment.notes]
    disturbed = ["### What disturbed the measurement", "\n".join(notes)] if notes else []
    return [text(wording.measured_on(report.environment)), *disturbed]


def _reproduction(found: Reproduction) -> list[str]:
    made = f"ends with {code(found.digest)}" if found.digest else "ends with the same result"
    version = f" (version {code(found.version)})" if found.version else ""
    inputs = [f"- {what}: {code(where)} {code(digest)}".rstrip() for what, where, digest in found.inputs]
    steps = [
        "<details><summary>How to reproduce</summary>",
        f"{code(found.local)} or {code(found.cluster)}{version} on this manifest {made}.",
        "\n".join(inputs),
        block(found.manifest, "yaml"),
        "</details>",
    ]
    review = ["### Waits for a review", "Whoever may review approves exactly this result with:"]
    return [*([*review, block(found.review, "yaml")] if found.review else []), *steps]
