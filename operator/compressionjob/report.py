"""What a run tells: the full report, the pod's summary of it, and progress on the way."""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.parts import RUN, Part
from compressionjob.review import ReviewOutcome
from compressionjob.schema import Observed
from compressionjob.sla import ObjectiveResult, Verdict

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
    stages: list[StageReport] = Field(default=[], description="The stages in order.")
    latency_samples: dict[str, list[float]] = Field(
        default={}, description="Latencies in seconds, baseline and compressed, for the picture."
    )
    timings: dict[str, float] = Field(default={}, description="Seconds by phase of the run.")
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
        return json.dumps(
            {
                "part": self.part,
                "held": self.held,
                "verdict": self.verdict,
                "confidence": self.confidence,
                "published": self.published,
            }
        )


class Progress(Observed):
    """What ``/progress`` answers while a pod works."""

    stage: Annotated[str, Field(max_length=128)] = Field(default="", description="What is being done.")
    index: int = Field(default=0, description="Number of the step, from 1.")
    total: int = Field(default=0, description="How many steps there are.")
    fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Share of the whole run that is done."
    )
    detail: Annotated[str, Field(max_length=256)] = Field(default="", description="More, for people.")

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
        "anomalies": [text[:120] for text in data.get("anomalies", [])[:4]],
        "objectives": [
            item | ({"reason": item["reason"][:80]} if "reason" in item else {}) for item in data.get("objectives", [])
        ],
    }


def _drop_details(data: dict[str, Any]) -> dict[str, Any]:
    kept = {key: item for key, item in _cut_texts(data).items() if key not in ("baseline", "compressed")}
    return kept | {"sentence": data.get("sentence", "")[:128]}


def _cut_error(data: dict[str, Any]) -> dict[str, Any]:
    error = {key: text[:400] for key, text in data.get("error", {}).items()}
    kept = {key: item for key, item in _drop_details(data).items() if key != "objectives"}
    return kept | ({"error": error} if error else {})
