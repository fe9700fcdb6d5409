"""The report of a run and the pod's summary of it, put together from what the parts of the run tell."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from compression_runner.artifact import Artifact, File
from compression_runner.errors import RunnerError
from compression_runner.evaluation.evaluate import Measurements
from compression_runner.pipeline.execution import Made
from compression_runner.pipeline.names import REPORT_JSON
from compression_runner.pipeline.planner import Plan
from compression_runner.pipeline.report_files import report_digest
from compression_runner.storage import Store
from compressionjob.conditions import BAD_RECIPE, DISK_FULL, INVALID_INPUT, STORAGE_UNAVAILABLE
from compressionjob.exit_codes import ExitCode
from compressionjob.parts import COMPRESS
from compressionjob.publication import HOLD, PUBLISH, Publication
from compressionjob.report import (
    ArtifactReport,
    DataReference,
    Environment,
    FallbackReport,
    FileReport,
    JobReference,
    JobReport,
    ModelFigures,
    PackingReport,
    Provenance,
    Report,
    SideSummary,
    SourceReference,
    StageReport,
    Summary,
    Violation,
)
from compressionjob.schema import format_bytes
from compressionjob.sla import Judgement
from compressionjob.spec import CompressionJob

LIBRARIES: Final = (
    "compression-operator", "torch", "transformers", "onnx", "onnxscript", "onnxruntime", "numpy", "safetensors",
    "zstandard", "lz4", "mlcommons-loadgen", "openvino", "nncf", "fairlearn", "captum",
)  # fmt: skip
REASONS: Final[Mapping[ExitCode, str]] = {
    ExitCode.INVALID: INVALID_INPUT,
    ExitCode.RECIPE: BAD_RECIPE,
    ExitCode.STORAGE: STORAGE_UNAVAILABLE,
    ExitCode.DISK_FULL: DISK_FULL,
}
ENGINES: Final = {"openvino": "OpenVINO"}
"""What measures results of a format, and with them the baseline; onnxruntime where nothing else is named."""
MAX_FALLBACK: Final = 512
COUNTED: Final = (
    "weight and graph files as they are stored (packed, where they are packed); tokenizer and configuration not"
)


@dataclass(frozen=True)
class Facts:
    """What is known at the end of a run, before it is known whether the result was published.

    All is about the result that is to be published, which may be an earlier stage's: then `fallback` tells of the whole
    pipeline's.
    """

    job: CompressionJob
    plan: Plan
    result: Made
    measurements: Measurements
    judgement: Judgement
    data_digest: str
    timings: Mapping[str, float]
    fallback: FallbackReport | None = None


def provenance(facts: Facts) -> Provenance:
    """How the result came to be: enough to make it again."""
    job, spec = facts.job, facts.job.spec
    return Provenance(
        fingerprint=facts.result.stages[-1].fingerprint,
        plan=facts.plan.fingerprint,
        job=JobReference(name=job.metadata.name, namespace=job.metadata.namespace, uid=job.metadata.uid),
        source=_source(facts),
        evaluation=DataReference(uri=spec.data.evaluation.source, digest=facts.data_digest),
        pipeline=[stage.to_json() for stage in spec.pipeline],
        stages=list(facts.result.stages),
        verdict=facts.judgement.verdict,
        given_up=facts.fallback.given_up if facts.fallback else [],
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def make_report(facts: Facts, provenance: Provenance, destination: Store, publication: Publication) -> Report:
    """The full report."""
    published = publication == PUBLISH
    found, job = facts.measurements, facts.job
    return Report(
        job=JobReport(
            name=job.metadata.name,
            namespace=job.metadata.namespace,
            uid=job.metadata.uid,
            spec=job.spec.to_json(),
        ),
        verdict=facts.judgement.verdict,
        confidence=facts.judgement.confidence,
        sentence=facts.judgement.sentence(),
        anomalies=found.anomalies,
        published=published,
        held=publication == HOLD,
        objectives=list(facts.judgement.objectives),
        looks=found.looks,
        baseline=found.baseline,
        compressed=found.compressed,
        speedups=found.speedups,
        quality_drops=found.quality_drops,
        quality_parts=found.quality_parts,
        trust=found.trust,
        stages=list(facts.result.stages),
        fallback=facts.fallback,
        latency_samples=found.latency_samples,
        timings={**facts.timings, **found.timings},
        environment=_environment(facts),
        provenance=provenance,
        artifact=_artifact(facts.result, destination.url if published else ""),
    )


def summarize(report: Report, reports: Store) -> Summary:
    """What fits into a termination message: of a result that is published or held, also what identifies it."""
    identified = report.published or report.held
    return Summary(
        verdict=report.verdict,
        confidence=report.confidence,
        sentence=report.sentence[:1024],
        published=report.published,
        held=report.held,
        fallback=_fallback(report),
        objectives=report.objectives,
        anomalies=[anomaly[:256] for anomaly in report.anomalies],
        baseline=_side(report.baseline),
        compressed=_side(report.compressed),
        report=f"{reports.url}/{REPORT_JSON}",
        artifact=report.artifact.uri if report.published else "",
        digest=report.artifact.digest if identified else "",
        checkpoint=report.artifact.fingerprint if identified else "",
        report_digest=report_digest(report) if identified else "",
        stages_run=_count(report.stages, reused=False),
        stages_reused=_count(report.stages, reused=True),
    )


def summarize_stages(stages: Sequence[StageReport]) -> Summary:
    """What a pod tells that has done the stages alone."""
    return Summary(part=COMPRESS, stages_run=_count(stages, reused=False), stages_reused=_count(stages, reused=True))


def _fallback(report: Report) -> str:
    found = report.fallback
    if found is None or found.published is None:
        return ""
    return found.sentence if len(found.sentence) <= MAX_FALLBACK else f"{found.sentence[: MAX_FALLBACK - 3]}..."


def violation(error: RunnerError) -> Violation:
    """A run's error in the words of a condition."""
    return Violation(
        reason=REASONS.get(error.exit_code, "Unexpected"),
        field=error.field,
        value=error.value,
        remedy=error.remedy,
        message=error.problem,
    )


def versions() -> dict[str, str]:
    """Versions of everything that takes part in the result."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _source(facts: Facts) -> SourceReference:
    return SourceReference.model_validate(facts.result.source)


def _artifact(result: Made, uri: str) -> ArtifactReport:
    """What the result is, and the fingerprint under which its checkpoint lies."""
    about = result.artifact
    return ArtifactReport(
        uri=uri,
        fingerprint=result.stages[-1].fingerprint,
        format=about.format,
        task=about.task,
        digest=about.digest,
        size_bytes=about.size_bytes,
        files=[_file(file) for file in about.files],
        packing=packing_report(about),
    )


def packing_report(artifact: Artifact) -> PackingReport | None:
    """How the files of an artifact are packed, None where they are not."""
    packing = artifact.packing
    if packing is None:
        return None
    originals = {path: _file(file) for path, file in packing.originals.items()}
    return PackingReport(codec=packing.codec, files=originals)


def _file(file: File) -> FileReport:
    return FileReport(path=file.path, size_bytes=file.size, sha256=file.sha256, weights=file.weights)


def _environment(facts: Facts) -> Environment:
    measured = facts.measurements.environment
    added: dict[str, Any] = {"size_counts": COUNTED, "baseline_is": _baseline_is(facts)}
    before, after = _source(facts).size_bytes, facts.result.artifact.size_bytes
    if facts.plan.imported and after > before:
        larger = f"larger than the file that it came from: {format_bytes(after)} against {format_bytes(before)}"
        added["notes"] = [*measured.notes, larger]
    return measured.model_copy(update=added)


def _baseline_is(facts: Facts) -> str:
    plan, engine = facts.plan, ENGINES.get(facts.result.artifact.format, "onnxruntime")
    if plan.imported is not None:
        return f"the float32 model that the source stands for, as ONNX in {engine}; its size is that of those weights"
    if plan.baseline is None:
        return f"the source, in {engine}"
    return f"the float32 ONNX export of the source in {engine}, its outputs compared; its size is the source's"


def _side(figures: ModelFigures) -> SideSummary:
    return SideSummary(
        size_bytes=figures.size_bytes,
        peak_memory_bytes=figures.peak_memory_bytes,
        latency_seconds=figures.latency_seconds,
        throughput_per_second=figures.throughput_per_second,
        quality=figures.quality,
    )


def _count(stages: Sequence[StageReport], *, reused: bool) -> int:
    return sum(stage.reused == reused for stage in stages)
