"""Rows and bars by stage: size, quality (if measured) and time."""

from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compressionjob.field_types import format_bytes
from compressionjob.report import Report, StageReport

MEASURING: Final = ("evaluate baseline", "evaluate compressed", "latency", "throughput", "memory", "trust")
"""Phases of the measurement."""
WHOLE_MEASURING: Final = "measuring"
"""All of them together, if the run records it."""
FALLBACK: Final = "fallback"
"""The measurement of earlier results, each of which repeats the phases."""


@dataclass(frozen=True)
class Bar:
    """One bar of a chart; `share` is of the longest, from 0 to 1."""

    name: str
    note: str
    text: str
    share: float
    kind: str


@dataclass(frozen=True)
class StageRow:
    """One stage as a row; `given_up` if the published result does not include it.

    `gpu` describes the use of its GPU.
    """

    name: str
    about: str
    size: str
    share: str
    bar: float
    quality: str
    seconds: str
    reused: bool
    fingerprint: str
    given_up: bool
    gpu: str = ""


def stage_rows(report: Report, metric: str) -> list[StageRow]:
    """Return rows for the baseline and the stages, in order; after a fallback, also for the stages given up."""
    published = {stage.fingerprint for stage in report.stages}
    fallback = report.fallback
    stages = [*report.stages]
    if fallback:
        stages += [stage for stage in fallback.stages if stage.fingerprint not in published]
    scores = _scores(report, metric)
    first = report.baseline.size_bytes or 1
    top = max([first, *(stage.size_bytes for stage in stages)])
    before = _score(metric, report.baseline.quality.get(metric))
    rows = [StageRow("baseline", "", format_bytes(first), "100 %", first / top, before, "", False, "", False)]
    for stage in stages:
        settings = ", ".join(f"{name} {value}" for name, value in wording.flat(stage.parameters))
        about = f"{stage.method} {settings}" if stage.method != stage.name else settings
        rows.append(
            StageRow(
                name=stage.name,
                about=about.strip(),
                size=format_bytes(stage.size_bytes),
                share=wording.per_cent(stage.size_bytes / first),
                bar=stage.size_bytes / top,
                quality=_score(metric, scores.get(stage.fingerprint)),
                seconds=wording.duration(stage.seconds),
                reused=stage.reused,
                fingerprint=stage.fingerprint,
                given_up=stage.fingerprint not in published,
                gpu=_gpu(stage),
            )
        )
    return rows


def _gpu(stage: StageReport) -> str:
    """Describe the GPU of a stage: its energy, other processes, and throttling."""
    gpu = stage.details.get("gpu")
    if not isinstance(gpu, dict):
        return ""
    parts = [str(note) for note in gpu.get("notes", [])]
    if isinstance(joules := gpu.get("energyJoules"), int | float):
        parts.insert(0, f"the GPU used {wording.energy(joules)}")
    return "; ".join(parts)


def _scores(report: Report, metric: str) -> dict[str, float]:
    """Return the measured scores by the fingerprint of the step that created the model."""
    scores: dict[str, float] = {}
    fallback = report.fallback
    if fallback:
        scores |= {one.fingerprint: one.quality[metric] for one in fallback.candidates if metric in one.quality}
        if fallback.stages and metric in fallback.figures.quality:
            scores[fallback.stages[-1].fingerprint] = fallback.figures.quality[metric]
    if report.stages and metric in report.compressed.quality:
        scores[report.stages[-1].fingerprint] = report.compressed.quality[metric]
    return scores


def _score(metric: str, value: float | None) -> str:
    return "" if value is None else wording.number(value, wording.metric_unit(metric))


def phases(report: Report) -> list[Bar]:
    """Return the phases of the run; the measurement is split into its phases if they are known."""
    parts = [name for name in MEASURING if name in report.timings]
    shown = {name: seconds for name, seconds in report.timings.items() if not (parts and name == WHOLE_MEASURING)}
    longest = max(shown.values(), default=0.0) or 1.0
    measuring = (*MEASURING, FALLBACK)
    return [
        Bar(name, "", wording.duration(seconds), seconds / longest, "measuring" if name in measuring else "working")
        for name, seconds in shown.items()
    ]


def time_spent(report: Report) -> str:
    """Return the duration of the run, and the share of it that was measuring."""
    own = report.fallback is not None and report.fallback.published is not None
    # The phases are those of the published result, which was measured within the fallback.
    parts = 0.0 if own else sum(report.timings.get(name, 0.0) for name in MEASURING)
    measuring = max(report.timings.get(WHOLE_MEASURING, 0.0), parts) + report.timings.get(FALLBACK, 0.0)
    counted = (*MEASURING, WHOLE_MEASURING, FALLBACK)
    others = sum(seconds for name, seconds in report.timings.items() if name not in counted)
    if not measuring + others:
        return ""
    share = wording.per_cent(measuring / (measuring + others))
    return f"The run took {wording.duration(measuring + others)}, of which {share} measuring."
