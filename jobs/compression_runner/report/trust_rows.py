"""What averages hide, as rows and pictures: groups, disturbed inputs, attributions side by side, and flips."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import Mark, scale_of
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
"""The only kind of address that the page may hold: a picture that lies in the report itself."""
SIDE: Final = 140.0
"""Width and height of an explained image."""
MOST_FEATURES: Final = 8
HALF: Final = 60.0
"""Length of the longest bar of an attribution, to either side."""


@dataclass(frozen=True)
class PairRow:
    """One figure of both models, with intervals on a common line."""

    name: str
    note: str
    baseline: str
    baseline_span: str
    compressed: str
    compressed_span: str
    lost: str
    lost_span: str
    marks: tuple[Mark, Mark]


@dataclass(frozen=True)
class Pairs:
    """Rows on one line, whose ends stand for `bottom` and `top`."""

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
    """One feature that an answer rests on: bars of both models from the middle, to the right for the answer."""

    name: str
    bars: tuple[tuple[float, float, str], ...]
    """Of the baseline and of the result: start, width, and the figure as text."""


@dataclass(frozen=True)
class Explained:
    """One input with what both models' answers rest on."""

    title: str
    agreement: str
    picture: str
    cells: tuple[tuple[Cell, ...], ...]
    """Of the baseline and of the result; empty where the input is no image."""
    features: tuple[FeatureRow, ...]
    left_out: int


@dataclass(frozen=True)
class TrustView:
    """The sections of the page; each None where it was not measured."""

    groups: Pairs | None
    groups_said: str
    robustness: Pairs | None
    robustness_said: str
    explained: tuple[Explained, ...]
    attributions_said: str
    flips: FlipsReport | None
    flips_said: str


def trust_view(report: Report) -> TrustView:
    """Return what the report tells beyond averages."""
    told = report.trust or TrustReport()
    return TrustView(
        groups=_groups(told.groups) if told.groups else None,
        groups_said=_groups_said(told.groups) if told.groups else "",
        robustness=_robustness(told.robustness) if told.robustness else None,
        robustness_said=_robustness_said(told.robustness) if told.robustness else "",
        explained=tuple(_explained(one) for one in told.attributions.examples) if told.attributions else (),
        attributions_said=_attributions_said(told.attributions) if told.attributions else "",
        flips=told.flips,
        flips_said=_flips_said(told.flips) if told.flips else "",
    )


def _pairs(rows: Sequence[tuple[str, str, Estimate, Estimate, Estimate | None]], unit: str) -> Pairs:
    scale = scale_of([side for _, _, before, after, _ in rows for side in (before, after)])
    found = [
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
    return Pairs(tuple(found), wording.number(scale.bottom, unit), wording.number(scale.top, unit))


def _groups(told: GroupsReport) -> Pairs:
    rows = [(one.name, f"{one.samples:,} samples", one.baseline, one.compressed, None) for one in told.groups]
    return _pairs(rows, wording.metric_unit(told.metric))


def _groups_said(told: GroupsReport) -> str:
    unit = wording.metric_unit(told.metric)
    gaps = [wording.number(one.value, unit) for one in (told.baseline_gap, told.compressed_gap)]
    change = wording.number(abs(told.gap_increase.value), unit)
    word = "wider" if told.gap_increase.value > 0 else "narrower"
    changed = f"{change} {word} ({wording.span(told.gap_increase, unit)})" if told.gap_increase.value else "the same"
    return (
        f"{told.metric.capitalize()} by {told.column}, the result's worst group first. The gap between best and worst "
        f"is {gaps[0]} of the baseline and {gaps[1]} of the result: {changed}."
    )


def _robustness(told: RobustnessReport) -> Pairs:
    clean = ("undisturbed", "", told.baseline_clean, told.compressed_clean, None)
    rows = [
        (
            one.disturbance if one.kind in ("gaussian", "pgd") else f"{one.disturbance}: {one.kind}",
            "; ".join(part for part in (f"{one.severity:g} {one.unit}", one.method) if part),
            one.baseline,
            one.compressed,
            one.drop,
        )
        for one in told.disturbed
    ]
    return _pairs([clean, *rows], "score")


def _robustness_said(told: RobustnessReport) -> str:
    return f"Share of right answers to {told.samples:,} inputs, judged by {told.judged_by}."


def _attributions_said(told: AttributionsReport) -> str:
    agreement = wording.number(told.agreement.value, "score")
    return (
        f"Over {told.samples} inputs, the attributions of both models agree at {agreement} "
        f"({wording.span(told.agreement, 'score')}; the mean cosine, 1 is the same). {told.method}. "
        "Those that agree least come first."
    )


def _flips_said(told: FlipsReport) -> str:
    span = wording.span(told.share.model_copy(update={name: getattr(told.share, name) * 100 for name in _ENDS}), "")
    parts = [f"{told.flipped:,} of {told.samples:,} answers differ from the baseline's ({span} %)"]
    if told.broken is not None and told.mended is not None:
        parts.append(f"{told.broken:,} were right and are wrong now, {told.mended:,} the other way round")
    return f"{'; '.join(parts)}."


_ENDS: Final = ("value", "low", "high")


def _explained(one: Attribution) -> Explained:
    largest = max((abs(value) for value in (*one.baseline, *one.compressed)), default=0.0) or 1.0
    image = len(one.grid) == 2 and one.grid[0] * one.grid[1] == len(one.baseline) == len(one.compressed)
    order = sorted(range(len(one.features)), key=lambda at: -max(abs(one.baseline[at]), abs(one.compressed[at])))[
        :MOST_FEATURES
    ]
    answer = "" if one.answer is None else f", answer {one.answer}"
    return Explained(
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
