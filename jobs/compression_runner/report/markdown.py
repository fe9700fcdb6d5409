"""report.md: the verdict and its figures as Markdown for a pull request (GitHub's dialect)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from compression_runner.report import wording
from compression_runner.report.by_stage import stage_rows
from compression_runner.report.given_up import GivenUp, given_up
from compression_runner.report.interim_looks import LooksRow, looks_rows
from compression_runner.report.key_figures import key_figures
from compression_runner.report.objective_rows import (
    Terms,
    objective_row,
    said_of,
    terms_of,
    verdict_of,
    verdict_sentence,
)
from compression_runner.report.page import VERDICTS, publication
from compression_runner.report.recovery_rows import RecoveryRow, RecoveryView, recovery_view
from compression_runner.report.reproducing import Reproduction, reproduction
from compression_runner.report.serving_rows import ServedRow, ServingView, serving_view
from compression_runner.report.trust_rows import PairRow, Pairs, TrustView, trust_view
from compressionjob.plain_text import plain
from compressionjob.report import Report

# Characters that may begin inline markup, an entity, a formula, or an automatic link on GitHub.
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>~&$]|:(?=//)|(?<=www)\.)")
_MENTION: Final = re.compile(r"[@#]\w")


def render_markdown(report: Report, now: datetime | None = None) -> str:
    """Return the report as Markdown; untrusted text is escaped, and mentions no GitHub user."""
    terms = terms_of(report)
    parts = [
        *_head(report, terms),
        *_objectives(report, terms),
        *_looks(looks_rows(report, terms)),
        *_given_up(given_up(report, terms)),
        *_figures(report, terms),
        *_serving(serving_view(report)),
        *_recovery(recovery_view(report)),
        *_stages(report, terms),
        *_trust(trust_view(report)),
        *_conditions(report),
        *_reproduction(reproduction(report)),
        f"<sub>Written {(now or datetime.now(UTC)).strftime('%Y-%m-%d %H:%M UTC')} by compression-runner. All "
        f"intervals hold together at {wording.per_cent(report.confidence)} confidence.</sub>",
    ]
    return plain("\n\n".join(part for part in parts if part) + "\n")


def text(value: object) -> str:
    """Return untrusted text as one line of escaped Markdown."""
    line = _line(value)
    # A backslash does not prevent GitHub from notifying a user or linking an issue; a code span does.
    return code(line) if _MENTION.search(line) else _SPECIAL.sub(r"\\\1", line)


def code(value: object) -> str:
    """Return untrusted text as a code span, in which GitHub interprets neither markup nor mentions."""
    line = _line(value)
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    # In a cell, a backslash before a bar would escape the bar.
    return f"{fence}{pad}{line}{pad}{fence}".replace("\\|", "\\ |")


def _line(value: object) -> str:
    """Return text as one line without invisible characters: control characters and changes of the writing direction."""
    seen = "".join(letter for letter in str(value) if letter.isprintable() or letter.isspace())
    return " ".join(seen.split())


def block(value: str, language: str) -> str:
    """Return untrusted lines as a code block that they cannot end."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", value)), default=0) + 1)
    return f"{fence}{language}\n{value.rstrip()}\n{fence}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: str) -> str:
    """Return a table; `numbers` has an r for each right-aligned column, and an l for each other."""
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


def _given_up(fallback: GivenUp | None) -> list[str]:
    if fallback is None:
        return []
    compared = [[text(row.name), text(row.published), text(row.whole)] for row in fallback.comparison]
    tried = [[text(row.stage), text(row.size), row.verdict or "", text(row.why)] for row in fallback.candidates]
    return [
        "### Fallback",
        text(fallback.headline),
        f"The whole pipeline's verdict is **{fallback.verdict}**. {text(fallback.sentence)}",
        table(["", "published", "the whole pipeline"], compared, "lrr") if compared else "",
        table(["earlier result of", "size", "verdict", "why"], tried, "lrll") if tried else "",
    ]


def _figures(report: Report, terms: Terms) -> list[str]:
    rows = [
        [text(one.title), text(one.before), text(one.value), text(one.change)] for one in key_figures(report, terms)
    ]
    return ["### Figures", table(["", "baseline", "compressed", ""], rows, "lrrl")]


def _stages(report: Report, terms: Terms) -> list[str]:
    stages = stage_rows(report, terms.metric)
    rows = [
        [
            text(row.name) + (" (given up)" if row.given_up else ""),
            code(row.about),
            f"{text(row.size)} ({text(row.share)})",
            text(row.quality),
            text(row.seconds) + (" (reused)" if row.reused else ""),
        ]
        for row in stages
    ]
    parts = ["### Stages", table(["stage", "method", "size", text(terms.metric), "time"], rows, "llrrr")]
    worked = [f"- {text(row.name)}: {text(row.gpu)}" for row in stages if row.gpu]
    return [*parts, "\n".join(worked)] if worked else parts


def _serving(view: ServingView | None) -> list[str]:
    if view is None:
        return []
    rows = [[*_both_models(row), _with_span(row.ratio, row.ratio_span)] for row in view.rows]
    tried = [
        [text(one.model), text(one.rate), text(one.requests), _with_span(one.goodput, one.span), text(one.limits)]
        for one in view.rates
    ]
    totals = [[text(title), text(before), text(after), ""] for title, before, after in view.totals]
    return [
        "### Served requests",
        text(view.said),
        table(["", "baseline", "compressed", "ratio"], [*rows, *totals], "lrrr"),
        table(["model", "rate", "requests", "goodput", "limits"], tried, "lrrrl") if tried else "",
        "\n".join(f"- {text(note)}" for note in view.notes),
    ]


def _recovery(view: RecoveryView | None) -> list[str]:
    if view is None:
        return []
    rows = [
        [
            *_both_models(row)[:1],
            code(row.metric),
            row.documents,
            *_both_models(row)[1:],
            _with_span(row.recovery, row.recovery_span),
            f"{VERDICTS[row.verdict][0]} {row.verdict}" if row.verdict else "no limit",
        ]
        for row in view.rows
    ]
    titles = ["task", "metric", "questions", "baseline", "compressed", "recovery", "verdict"]
    return [
        "### Recovery",
        text(view.said),
        table(titles, rows, "llrrrrl"),
        "\n".join(f"- {text(note)}" for note in view.notes),
    ]


def _trust(view: TrustView) -> list[str]:
    parts: list[str] = []
    for title, said, pairs in (
        ("Quality by group", view.groups_said, view.groups),
        ("Robustness", view.robustness_said, view.robustness),
    ):
        if pairs:
            parts += [f"### {title}", text(said), _pairs(pairs)]
    if view.attributions_said:
        parts += ["### Attribution agreement", text(view.attributions_said)]
    if view.flips_said:
        parts += ["### Prediction flips", text(view.flips_said)]
    return parts


def _pairs(pairs: Pairs) -> str:
    rows = [[*_both_models(row), _with_span(row.lost, row.lost_span)] for row in pairs.rows]
    return table(["", "baseline", "compressed", "lost"], rows, "lrrr")


def _both_models(row: ServedRow | PairRow | RecoveryRow) -> list[str]:
    """Return the name of a row and the figures of both models."""
    sides = ((row.baseline, row.baseline_span), (row.compressed, row.compressed_span))
    return [text(row.name), *(_with_span(figure, span) for figure, span in sides)]


def _with_span(figure: str, span: str) -> str:
    return text(f"{figure} ({span})" if span else figure)


def _conditions(report: Report) -> list[str]:
    notes = [f"- {text(note)}" for note in report.environment.notes]
    disturbed = ["### Disturbances of the measurement", "\n".join(notes)] if notes else []
    placed = "\n".join(f"- {text(name)}: {text(nodes)}" for name, nodes in wording.placed(report.environment))
    return [
        text(wording.ran_in(report.environment)),
        placed,
        text(wording.measured_on(report.environment)),
        *disturbed,
    ]


def _reproduction(reproducing: Reproduction) -> list[str]:
    made = f"ends with {code(reproducing.digest)}" if reproducing.digest else "ends with the same result"
    version = f" (version {code(reproducing.version)})" if reproducing.version else ""
    inputs = [f"- {what}: {code(where)} {code(digest)}".rstrip() for what, where, digest in reproducing.inputs]
    steps = [
        "<details><summary>How to reproduce</summary>",
        f"{code(reproducing.local)} or {code(reproducing.cluster)}{version} on this manifest {made}.",
        "\n".join(inputs),
        block(reproducing.manifest, "yaml"),
        "</details>",
    ]
    review = ["### Waits for a review", "A reviewer approves exactly this result with:"]
    return [*([*review, block(reproducing.review, "yaml")] if reproducing.review else []), *steps]
