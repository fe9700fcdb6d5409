"""The trust part of a report, as rows and charts: groups, robustness, attributions, and flips."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import IntervalMark, scale_of
from compressionjob.estimate import Estimate
from compressionjob.report import Report
from compressionjob.trust_report import (
    Attribution,
    AttributionsReport,
    FlipsReport,
    GroupsReport,
    RobustnessReport,
    TrustReport,
)

PICTURE: Final = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+\Z")
"""The only URLs that the page may contain: images embedded in the report."""
SIDE: Final = 140.0
"""Width and height of an explained image."""
MOST_FEATURES: Final = 8
HALF: Final = 60.0
"""Length of the longest bar of an attribution, to either side."""


@dataclass(frozen=True)
class PairRow:
    """One figure of both models, with intervals on a common axis."""

    name: str
    note: str
    baseline: str
    baseline_span: str
    compressed: str
    compressed_span: str
    lost: str
    lost_span: str
    marks: tuple[IntervalMark, IntervalMark]


@dataclass(frozen=True)
class Pairs:
    """Rows on a common axis from `bottom` to `top`."""

    rows: tuple[PairRow, ...]
    bottom: str
    top: str


@dataclass(frozen=True)
class Cell:
    """One patch of an explained image; `strength` from 0 to 1, `kind` for or against the answer."""

    x: float
    y: float
    width: float
    height: float
    strength: float
    kind: str


@dataclass(frozen=True)
class FeatureRow:
    """One feature of an explanation: bars of both models from the middle, to the right if it supports the answer."""

    name: str
    bars: tuple[tuple[float, float, str], ...]
    """For the baseline and the compressed model: start, width, and the figure as text."""


@dataclass(frozen=True)
class ExplanationView:
    """One input with the attributions of both models."""

    title: str
    agreement: str
    picture: str
    cells: tuple[tuple[Cell, ...], ...]
    """For the baseline and the compressed model; empty if the input is not an image."""
    features: tuple[FeatureRow, ...]
    left_out: int


@dataclass(frozen=True)
class TrustView:
    """The sections of the page; each is None if it was not measured."""

    groups: Pairs | None
    groups_said: str
    robustness: Pairs | None
    robustness_said: str
    explained: tuple[ExplanationView, ...]
    attributions_said: str
    flips: FlipsReport | None
    flips_said: str


def trust_view(report: Report) -> TrustView:
    """Return the trust sections of a report."""
    trust = report.trust or TrustReport()
    return TrustView(
        groups=_groups(trust.groups) if trust.groups else None,
        groups_said=_groups_said(trust.groups) if trust.groups else "",
        robustness=_robustness(trust.robustness) if trust.robustness else None,
        robustness_said=_robustness_said(trust.robustness) if trust.robustness else "",
        explained=tuple(_explained(one) for one in trust.attributions.examples) if trust.attributions else (),
        attributions_said=_attributions_said(trust.attributions) if trust.attributions else "",
        flips=trust.flips,
        flips_said=_flips_said(trust.flips) if trust.flips else "",
    )


def _pairs(rows: Sequence[tuple[str, str, Estimate, Estimate, Estimate | None]], unit: str) -> Pairs:
    scale = scale_of([side for _, _, before, after, _ in rows for side in (before, after)])
    pair_rows = [
        PairRow(
            name=name,
            note=note,
            baseline=wording.number(before.value, unit),
            baseline_span=wording.span(before, unit),
            compressed=wording.number(after.value, unit),
            compressed_span=wording.span(after, unit),
            lost=wording.number(lost.value, unit) if lost else "",
            lost_span=wording.span(lost, unit),
            marks=(scale.mark(before), scale.mark(after)),
        )
        for name, note, before, after, lost in rows
    ]
    return Pairs(tuple(pair_rows), wording.number(scale.bottom, unit), wording.number(scale.top, unit))


def _groups(groups: GroupsReport) -> Pairs:
    rows = [(one.name, f"{one.samples:,} samples", one.baseline, one.compressed, None) for one in groups.groups]
    return _pairs(rows, wording.metric_unit(groups.metric))


def _groups_said(groups: GroupsReport) -> str:
    unit = wording.metric_unit(groups.metric)
    gaps = [wording.number(one.value, unit) for one in (groups.baseline_gap, groups.compressed_gap)]
    change = wording.number(abs(groups.gap_increase.value), unit)
    word = "wider" if groups.gap_increase.value > 0 else "narrower"
    changed = (
        f"{change} {word} ({wording.span(groups.gap_increase, unit)})" if groups.gap_increase.value else "the same"
    )
    return (
        f"{groups.metric.capitalize()} by {groups.column}, the result's worst group first. The gap between best and "
        f"worst is {gaps[0]} of the baseline and {gaps[1]} of the compressed model: {changed}."
    )


def _robustness(robustness: RobustnessReport) -> Pairs:
    clean = ("undisturbed", "", robustness.baseline_clean, robustness.compressed_clean, None)
    rows = [
        (
            one.disturbance if one.kind in ("gaussian", "pgd") else f"{one.disturbance}: {one.kind}",
            "; ".join(part for part in (f"{one.severity:g} {one.unit}", one.method) if part),
            one.baseline,
            one.compressed,
            one.drop,
        )
        for one in robustness.disturbed
    ]
    return _pairs([clean, *rows], "score")


def _robustness_said(robustness: RobustnessReport) -> str:
    return f"Share of right answers to {robustness.samples:,} inputs, judged by {robustness.judged_by}."


def _attributions_said(attributions: AttributionsReport) -> str:
    agreement = wording.number(attributions.agreement.value, "score")
    return (
        f"Over {attributions.samples} inputs, the attributions of both models agree at {agreement} "
        f"({wording.span(attributions.agreement, 'score')}; the mean cosine, 1 is the same). {attributions.method}. "
        "The least agreement comes first."
    )


def _flips_said(flips: FlipsReport) -> str:
    span = wording.span(flips.share.model_copy(update={name: getattr(flips.share, name) * 100 for name in _ENDS}), "")
    parts = [f"{flips.flipped:,} of {flips.samples:,} answers differ from the baseline's ({span} %)"]
    if flips.broken is not None and flips.mended is not None:
        parts.append(f"{flips.broken:,} were right and are wrong now, {flips.mended:,} were wrong and are right now")
    return f"{'; '.join(parts)}."


_ENDS: Final = ("value", "low", "high")


def _explained(one: Attribution) -> ExplanationView:
    largest = max((abs(value) for value in (*one.baseline, *one.compressed)), default=0.0) or 1.0
    image = len(one.grid) == 2 and one.grid[0] * one.grid[1] == len(one.baseline) == len(one.compressed)
    order = sorted(range(len(one.features)), key=lambda at: -max(abs(one.baseline[at]), abs(one.compressed[at])))[
        :MOST_FEATURES
    ]
    answer = "" if one.answer is None else f", answer {one.answer}"
    return ExplanationView(
        title=f"sample {one.sample}{answer}",
        agreement=wording.number(one.agreement, "score"),
        picture=one.picture if PICTURE.match(one.picture) else "",
        cells=tuple(_cells(side, one.grid, largest) for side in (one.baseline, one.compressed)) if image else (),
        features=() if image else tuple(_feature(one, at, largest) for at in order),
        left_out=0 if image else len(one.features) - len(order),
    )


def _cells(values: Sequence[float], grid: Sequence[int], largest: float) -> tuple[Cell, ...]:
    height, width = SIDE / grid[0], SIDE / grid[1]
    return tuple(
        Cell(
            x=round(at % grid[1] * width, 1),
            y=round(at // grid[1] * height, 1),
            width=round(width, 1),
            height=round(height, 1),
            strength=round(0.85 * abs(value) / largest, 2),
            kind="for" if value >= 0 else "against",
        )
        for at, value in enumerate(values)
    )


def _feature(one: Attribution, at: int, largest: float) -> FeatureRow:
    name = f"{one.features[at]} = {one.values[at]}" if at < len(one.values) else one.features[at]
    bars = []
    for side in (one.baseline, one.compressed):
        length = abs(side[at]) / largest * HALF
        start = HALF if side[at] >= 0 else HALF - length
        bars.append((round(start, 1), round(length, 1), f"{side[at]:+.3g}"))
    return FeatureRow(name, tuple(bars))
