"""What a run tells: the full report, the pod's summary of it, and progress on the way."""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from compressionjob.cost import format_cost
from compressionjob.estimate import Estimate
from compressionjob.parts import RUN, Part
from compressionjob.review import ReviewOutcome
from compressionjob.schema import Observed, format_duration
from compressionjob.sla import ObjectiveResult, Verdict
from compressionjob.trust_report import TrustReport

MAX_SUMMARY_BYTES: Final = 4096
"""Kubernetes keeps this much of a container's termination message."""

Percentiles = dict[str, float]


class ModelFigures(Observed):
    """What was measured of one model, baseline or compressed."""

    size_bytes: int = Field(description="Bytes of the model's weight and graph files.")
    peak_memory_bytes: int | None = Field(default=None, description="Peak resident memory of a fresh process.")
    latency_seconds: Percentiles = Field(default={}, description="p50, p90 and p99 of one query, in seconds.")
    latency_intervals: dict[str, Estimate] = Field(default={}, description="The same with their intervals.")
    throughput_per_second: float | None = Field(default=None, description="Samples a second, MLPerf Offline.")
    throughput_interval: Estimate | None = Field(default=None, description="The same with its interval.")
    energy_joules_per_sample: float | None = Field(
        default=None, description="Energy of the CPU for one sample, MLPerf Offline; absent where nothing tells it."
    )
    energy_interval: Estimate | None = Field(default=None, description="The same with its interval.")
    quality: dict[str, float] = Field(default={}, description="Score by metric.")


class StageReport(Observed):
    """One stage that ran, or was taken from a checkpoint."""

    name: str = Field(description="Name of the stage.")
    method: str = Field(description="Its method; export where the planner inserted one.")
    parameters: dict[str, Any] = Field(default={}, description="Parameters of the method.")
    fingerprint: str = Field(description="Hash of input, parameters, data and the method's version.")
    size_bytes: int = Field(description="Size of the model after it.")
    seconds: float = Field(description="How long it took (when it was made, if it was reused).")
    reused: bool = Field(description="Whether a checkpoint was used instead of running it.")
    details: dict[str, Any] = Field(default={}, description="What the method tells about its work.")


class CandidateReport(Observed):
    """An earlier stage's result that could be published in place of the whole pipeline's."""

    stage: str = Field(description="Name of the last stage that it has been through.")
    fingerprint: str = Field(description="Fingerprint of its last step, which is its checkpoint's.")
    size_bytes: int | None = Field(default=None, description="Its size; absent where it was not made.")
    measured: bool = Field(description="Whether it was measured; not where its size or a smaller one decided.")
    verdict: Verdict | None = Field(default=None, description="Its verdict; absent where none was needed.")
    sentence: str = Field(default="", description="Its verdict in one sentence.")
    objectives: list[ObjectiveResult] = Field(default=[], description="Limit by limit.")
    quality: dict[str, float] = Field(default={}, description="Score by metric, where it was measured.")


class FallbackReport(Observed):
    """What became of a whole pipeline's result that is not a Pass, and of those of its earlier stages."""

    sentence: str = Field(description="What was published in its place and what was given up, in one sentence.")
    published: str | None = Field(default=None, description="The stage whose result passes; absent where none does.")
    given_up: list[str] = Field(default=[], description="The stages after it.")
    verdict: Verdict = Field(description="The whole pipeline's verdict.")
    verdict_sentence: str = Field(default="", description="The same in one sentence.")
    objectives: list[ObjectiveResult] = Field(default=[], description="The whole pipeline's, limit by limit.")
    figures: ModelFigures = Field(description="What was measured of the whole pipeline's result.")
    speedups: dict[str, Estimate] = Field(default={}, description="The baseline's latency divided by its own.")
    stages: list[StageReport] = Field(default=[], description="The whole pipeline's stages in order.")
    candidates: list[CandidateReport] = Field(default=[], description="Earlier results, in the order of trial.")
    results: int = Field(description="How many results the confidence was shared among.")


class Violation(Observed):
    """Why a run ended without a verdict."""

    reason: str = Field(description="A reason from compressionjob.conditions.")
    field: str = Field(default="", description="The field of the spec that it is about.")
    value: str = Field(default="", description="What stands there.")
    remedy: str = Field(default="", description="What to do.")
    message: str = Field(default="", description="What happened.")

    def sentence(self) -> str:
        """One line for a condition: field, value, what happened, remedy."""
        where = (
            f"{self.field} ({self.value}): " if self.field and self.value else f"{self.field}: " if self.field else ""
        )
        return f"{where}{self.message}" + (f"; {self.remedy}" if self.remedy else "")


class RunCost(Observed):
    """What a run cost, by the price of its hardware; its other pods and parts are not known to it."""

    price_per_hour: float = Field(description="Price of an hour of the hardware.")
    seconds: float = Field(description="Seconds from the run's beginning to its report.")
    cost: float = Field(description="What these cost.")
    baseline_per_million: Estimate | None = Field(
        default=None, description="Cost of a million samples answered by the baseline, at its measured throughput."
    )
    compressed_per_million: Estimate | None = Field(default=None, description="The same of the result.")

    def sentence(self) -> str:
        """The run's cost for people."""
        ran = format_duration(self.seconds)
        return f"{format_cost(self.cost)} for {ran} at {self.price_per_hour:g} an hour, this run alone"


class Report(Observed):
    """``report.json``: everything that a person who signs needs."""

    schema_version: Literal["1"] = "1"
    job: dict[str, Any] = Field(description="Name, namespace, uid and spec of the job.")
    verdict: Verdict = Field(description="The verdict.")
    confidence: float = Field(description="Its confidence, over all objectives together.")
    sentence: str = Field(default="", description="The verdict in one sentence.")
    anomalies: list[str] = Field(default=[], description="Promises of the methods that the result does not keep.")
    published: bool = Field(default=False, description="Whether the result was published.")
    held: bool = Field(default=False, description="Whether it waits for its review.")
    review: ReviewOutcome | None = Field(default=None, description="Who decided about publishing, when and why.")
    objectives: list[ObjectiveResult] = Field(default=[], description="Limit by limit.")
    baseline: ModelFigures
    compressed: ModelFigures
    speedups: dict[str, Estimate] = Field(default={}, description="Baseline's latency divided by the result's.")
    quality_drops: dict[str, Estimate] = Field(
        default={}, description="Loss by metric, with intervals: a score's drop, an error's increase as a share."
    )
    trust: TrustReport | None = Field(default=None, description="Groups, disturbed inputs, attributions and flips.")
    stages: list[StageReport] = Field(default=[], description="The stages in order.")
    fallback: FallbackReport | None = Field(
        default=None, description="Where an earlier result was looked for: what for, and what was found."
    )
    latency_samples: dict[str, list[float]] = Field(
        default={}, description="Latencies in seconds, baseline and compressed, for the picture."
    )
    timings: dict[str, float] = Field(default={}, description="Seconds by phase of the run.")
    cost: RunCost | None = Field(default=None, description="What the run cost; absent where no price is known.")
    environment: dict[str, Any] = Field(default={}, description="Machine, threads, noise seen during measurement.")
    provenance: dict[str, Any] = Field(default={}, description="Source digest, data digest, versions, parameters.")
    artifact: dict[str, Any] = Field(default={}, description="URI, format, digest and files of the result.")


class SideSummary(Observed):
    """The figures of one model that fit into a status."""

    size_bytes: int | None = None
    peak_memory_bytes: int | None = None
    latency_seconds: Percentiles = {}
    throughput_per_second: float | None = None
    quality: dict[str, float] = {}


class Summary(Observed):
    """What the pod leaves in its termination message: a verdict with figures, or an error."""

    part: Part = RUN
    verdict: Verdict | None = None
    confidence: float | None = None
    sentence: Annotated[str, Field(max_length=1024)] = ""
    published: bool = False
    held: bool = False
    fallback: Annotated[str, Field(max_length=512)] = ""
    """What was published in place of the whole pipeline's result, and what was given up."""
    objectives: list[ObjectiveResult] = []
    anomalies: list[Annotated[str, Field(max_length=256)]] = []
    baseline: SideSummary = SideSummary()
    compressed: SideSummary = SideSummary()
    report: str = ""
    artifact: str = ""
    digest: str = ""
    stages_run: int = 0
    stages_reused: int = 0
    error: Violation | None = None

    def to_message(self) -> str:
        """The termination message: JSON of at most MAX_SUMMARY_BYTES; long texts go first when it does not fit."""
        data = _compact(self.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        for shorten in (_no_shortening, _cut_texts, _drop_details, _cut_error):
            text = json.dumps(shorten(data), separators=(",", ":"), sort_keys=True)
            if len(text.encode()) <= MAX_SUMMARY_BYTES:
                return text
        least = {
            "part": self.part,
            "held": self.held,
            "verdict": self.verdict,
            "confidence": self.confidence,
            "published": self.published,
        }
        return json.dumps(least | ({"fallback": self.fallback[:64]} if self.fallback else {}))


class Remaining(Observed):
    """How long a run will still take, as far as it can tell."""

    seconds: Annotated[float, Field(ge=0, le=1e9)] = Field(description="Seconds until it expects to be done.")
    basis: Annotated[str, Field(max_length=256)] = Field(default="", description="What the forecast rests on.")


class Progress(Observed):
    """What ``/progress`` answers while a pod works."""

    stage: Annotated[str, Field(max_length=128)] = Field(default="", description="What is being done.")
    index: int = Field(default=0, description="Number of the step, from 1.")
    total: int = Field(default=0, description="How many steps there are.")
    fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Share of the whole run that is done."
    )
    detail: Annotated[str, Field(max_length=256)] = Field(default="", description="More, for people.")
    remaining: Remaining | None = Field(
        default=None, description="How long the rest will take; absent until there is something to tell it from."
    )

    @property
    def percent(self) -> int:
        """Whole per cent, 100 only when all is done."""
        return int(self.fraction * 100)


def parse_summary(message: str) -> Summary | None:
    """The summary in a termination message, or None when there is none (killed before it could write)."""
    try:
        data = json.loads(message)
    except ValueError:
        return None
    if not isinstance(data, dict) or not ({"part", "verdict", "error"} & data.keys()):
        return None
    try:
        return Summary.model_validate(data)
    except ValueError:
        return None


def _compact(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_compact(item) for item in value]
    return value


def _no_shortening(data: dict[str, Any]) -> dict[str, Any]:
    return data


def _cut_texts(data: dict[str, Any]) -> dict[str, Any]:
    return data | {
        "sentence": data.get("sentence", "")[:256],
        "fallback": data.get("fallback", "")[:256],
        "anomalies": [text[:120] for text in data.get("anomalies", [])[:4]],
        "objectives": [
            item | ({"reason": item["reason"][:80]} if "reason" in item else {}) for item in data.get("objectives", [])
        ],
    }


def _drop_details(data: dict[str, Any]) -> dict[str, Any]:
    kept = {key: item for key, item in _cut_texts(data).items() if key not in ("baseline", "compressed")}
    return kept | {"sentence": data.get("sentence", "")[:128], "fallback": data.get("fallback", "")[:128]}


def _cut_error(data: dict[str, Any]) -> dict[str, Any]:
    error = {key: text[:400] for key, text in data.get("error", {}).items()}
    kept = {key: item for key, item in _drop_details(data).items() if key != "objectives"}
    return kept | ({"error": error} if error else {})
