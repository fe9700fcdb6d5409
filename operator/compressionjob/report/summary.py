"""The pod's summary of its run, which is its termination message."""

import json
from functools import cache
from typing import Annotated, Any, Final

from pydantic import Field

from compressionjob.crd_schema import structural
from compressionjob.field_types import TolerantSchema
from compressionjob.fitting import MISFIT, JsonSchema, fit
from compressionjob.job_parts import RUN, Part
from compressionjob.report.bounds import (
    Anomalies,
    FallbackSentence,
    Fingerprint,
    Objectives,
    ResultLocation,
    Sentence,
)
from compressionjob.report.model_figures import Percentiles
from compressionjob.retention import SpaceUsed
from compressionjob.verdict import Verdict

MAX_SUMMARY_BYTES: Final = 4096
"""Largest termination message that Kubernetes keeps."""


class Violation(TolerantSchema):
    """An error that ended a run without a verdict."""

    reason: str = Field(description="Reason from compressionjob.conditions.")
    field: str = Field(default="", description="Field of the spec that caused it.")
    value: str = Field(default="", description="Value of the field.")
    remedy: str = Field(default="", description="Remedy.")
    message: str = Field(default="", description="Description of the error.")

    def sentence(self) -> str:
        """Return one line for a condition: field, value, error, remedy."""
        where = (
            f"{self.field} ({self.value}): " if self.field and self.value else f"{self.field}: " if self.field else ""
        )
        return f"{where}{self.message}" + (f"; {self.remedy}" if self.remedy else "")


class SideSummary(TolerantSchema):
    """Measurements of one model, in the short form of a status."""

    size_bytes: int | None = Field(default=None, description="Size of the weight and graph files in bytes.")
    peak_memory_bytes: int | None = Field(
        default=None, description="Peak memory in bytes of a fresh process that serves the model."
    )
    latency_seconds: Percentiles = Field(
        default={}, description="Latency of one query in seconds, by percentile: p50, p90 and p99."
    )
    throughput_per_second: float | None = Field(default=None, description="Throughput in samples per second.")
    quality: dict[str, float] = Field(
        default={}, description="Score by metric, such as accuracy or cosine; docs/data.md describes the metrics."
    )


class Summary(TolerantSchema):
    """The termination message of a pod: a verdict with measurements, or an error."""

    part: Part = RUN
    verdict: Verdict | None = None
    confidence: float | None = None
    sentence: Sentence = ""
    published: bool = False
    held: bool = False
    fallback: FallbackSentence = ""
    """The published stage and the dropped stages, after a fallback."""
    objectives: Objectives = []
    anomalies: Anomalies = []
    baseline: SideSummary = SideSummary()
    compressed: SideSummary = SideSummary()
    report: ResultLocation = ""
    artifact: ResultLocation = ""
    digest: Fingerprint = ""
    checkpoint: Fingerprint = ""
    """Fingerprint of the checkpoint that holds the model."""
    report_digest: Fingerprint = ""
    """sha256:... of report.json."""
    stage: Annotated[str, Field(max_length=256)] = ""
    """Step in which the run failed."""
    stages_run: int = 0
    stages_reused: int = 0
    space: SpaceUsed | None = None
    """Space that the job's files use; in a pod of the part Clean the space that is left in use."""
    error: Violation | None = None

    def to_message(self) -> str:
        """Return the termination message: JSON of at most MAX_SUMMARY_BYTES. Long texts are cut first."""
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
            "digest": self.digest,
            "checkpoint": self.checkpoint,
            "reportDigest": self.report_digest,
        }
        return json.dumps(least | ({"fallback": self.fallback[:64]} if self.fallback else {}))


def parse_summary(message: str) -> Summary | None:
    """Return the summary in a termination message, None if there is none, as after SIGKILL.

    A runner of another version may have written it: entries that do not fit into the status are cut or left out. An
    unknown verdict counts as none.
    """
    try:
        data = fit(json.loads(message), _schema())
    except (ValueError, RecursionError):  # RecursionError: thousands of nested brackets
        return None
    if data is MISFIT or not ({"part", "verdict", "error"} & data.keys()):
        return None
    summary = Summary.model_validate(data)
    return summary.model_copy(update={"objectives": [item for item in summary.objectives if item.is_known]})


@cache
def _schema() -> JsonSchema:
    return structural(Summary, defaults=False)


def _compact(value: Any) -> Any:
    if isinstance(value, float):
        # Whole numbers stay exact, which does not make them longer: 1Gi must stay 1Gi.
        return value if value.is_integer() else float(f"{value:.6g}")
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
