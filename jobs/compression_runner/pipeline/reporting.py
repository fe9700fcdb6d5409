"""Create the report of a run, and the pod's summary of it."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from compression_runner.artifact import Artifact, File
from compression_runner.errors import RunnerError
from compression_runner.evaluation.measurements import Measurements
from compression_runner.inference.versions import library_version
from compression_runner.pipeline.execution import StepOutput
from compression_runner.pipeline.names import REPORT_JSON
from compression_runner.pipeline.planner import PipelinePlan
from compression_runner.pipeline.report_files import report_digest
from compression_runner.storage import Store
from compressionjob.conditions import BAD_RECIPE, DISK_FULL, INVALID_INPUT, STORAGE_UNAVAILABLE
from compressionjob.engines import TORCH_ENGINES
from compressionjob.exit_codes import ExitCode
from compressionjob.field_types import format_bytes
from compressionjob.job_parts import COMPRESS
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
from compressionjob.spec import CompressionJob
from compressionjob.verdict import Judgement

LIBRARIES: Final = (
    "compression-operator", "torch", "transformers", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "numpy",
    "safetensors", "zstandard", "lz4", "mlcommons-loadgen", "openvino", "nncf", "fairlearn", "captum", "lm-eval",
)  # fmt: skip
REASONS: Final[Mapping[ExitCode, str]] = {
    ExitCode.INVALID: INVALID_INPUT,
    ExitCode.RECIPE: BAD_RECIPE,
    ExitCode.STORAGE: STORAGE_UNAVAILABLE,
    ExitCode.DISK_FULL: DISK_FULL,
}
ENGINES: Final = {"openvino": "OpenVINO"}
"""Name of the engine that measures results of a format, and the baseline; by default onnxruntime."""
MAX_FALLBACK: Final = 512
COUNTED: Final = (
    "weight and graph files as they are stored (packed, where they are packed); tokenizer and configuration not"
)


@dataclass(frozen=True)
class RunResult:
    """The results of a run before the publication.

    They belong to the model that is to be published, which may be the result of an earlier stage: then `fallback`
    describes the whole pipeline's result.
    """

    job: CompressionJob
    plan: PipelinePlan
    result: StepOutput
    measurements: Measurements
    judgement: Judgement
    data_digest: str
    timings: Mapping[str, float]
    fallback: FallbackReport | None = None


def provenance(run_result: RunResult) -> Provenance:
    """Return the provenance of the result: everything needed to reproduce it."""
    job, spec = run_result.job, run_result.job.spec
    return Provenance(
        fingerprint=run_result.result.stages[-1].fingerprint,
        plan=run_result.plan.fingerprint,
        job=JobReference(name=job.metadata.name, namespace=job.metadata.namespace, uid=job.metadata.uid),
        source=_source(run_result),
        evaluation=DataReference(uri=spec.data.evaluation.source, digest=run_result.data_digest),
        pipeline=[stage.to_json() for stage in spec.pipeline],
        stages=list(run_result.result.stages),
        verdict=run_result.judgement.verdict,
        given_up=run_result.fallback.given_up if run_result.fallback else [],
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def make_report(run_result: RunResult, provenance: Provenance, destination: Store, publication: Publication) -> Report:
    """Return the full report."""
    published = publication == PUBLISH
    measurements, job = run_result.measurements, run_result.job
    return Report(
        job=JobReport(
            name=job.metadata.name,
            namespace=job.metadata.namespace,
            uid=job.metadata.uid,
            spec=job.spec.to_json(),
        ),
        verdict=run_result.judgement.verdict,
        confidence=run_result.judgement.confidence,
        sentence=run_result.judgement.sentence(),
        anomalies=measurements.anomalies,
        published=published,
        held=publication == HOLD,
        objectives=list(run_result.judgement.objectives),
        looks=measurements.looks,
        baseline=measurements.baseline,
        compressed=measurements.compressed,
        speedups=measurements.speedups,
        quality_drops=measurements.quality_drops,
        quality_parts=measurements.quality_parts,
        trust=measurements.trust,
        serving=measurements.serving,
        recovery=measurements.recovery,
        stages=list(run_result.result.stages),
        fallback=run_result.fallback,
        latency_samples=measurements.latency_samples,
        timings={**run_result.timings, **measurements.timings},
        environment=_environment(run_result),
        provenance=provenance,
        artifact=_artifact(run_result.result, destination.url if published else ""),
    )


def summarize(report: Report, reports: Store) -> Summary:
    """Return the summary for the termination message; a published or held result includes its digests."""
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
    """Return the summary of a pod that ran only the stages."""
    return Summary(part=COMPRESS, stages_run=_count(stages, reused=False), stages_reused=_count(stages, reused=True))


def _fallback(report: Report) -> str:
    fallback = report.fallback
    if fallback is None or fallback.published is None:
        return ""
    return (
        fallback.sentence if len(fallback.sentence) <= MAX_FALLBACK else f"{fallback.sentence[: MAX_FALLBACK - 3]}..."
    )


def violation(error: RunnerError) -> Violation:
    """Convert a run's error to the fields of a condition."""
    return Violation(
        reason=REASONS.get(error.exit_code, "Unexpected"),
        field=error.field,
        value=error.value,
        remedy=error.remedy,
        message=error.problem,
    )


def versions() -> dict[str, str]:
    """Return the versions of all libraries that affect the result."""
    return {"python": platform.python_version(), **{name: library_version(name) for name in LIBRARIES}}


def _source(run_result: RunResult) -> SourceReference:
    return SourceReference.model_validate(run_result.result.source)


def _artifact(result: StepOutput, uri: str) -> ArtifactReport:
    """Describe the published artifact, with the fingerprint of its checkpoint."""
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
    """Return how the files of an artifact are packed; None if they are not."""
    packing = artifact.packing
    if packing is None:
        return None
    originals = {path: _file(file) for path, file in packing.originals.items()}
    return PackingReport(codec=packing.codec, files=originals)


def _file(file: File) -> FileReport:
    return FileReport(path=file.path, size_bytes=file.size, sha256=file.sha256, weights=file.weights)


def _environment(run_result: RunResult) -> Environment:
    measured = run_result.measurements.environment
    added: dict[str, Any] = {"size_counts": COUNTED, "baseline_is": _baseline_is(run_result)}
    before, after = _source(run_result).size_bytes, run_result.result.artifact.size_bytes
    if run_result.plan.imported and after > before:
        larger = f"larger than the file that it came from: {format_bytes(after)} against {format_bytes(before)}"
        added["notes"] = [*measured.notes, larger]
    return measured.model_copy(update=added)


def _baseline_is(run_result: RunResult) -> str:
    if run_result.job.spec.benchmark.engine in TORCH_ENGINES:
        stands_for = "the Transformers model that the source stands for" if run_result.plan.imported else "the source"
        return f"{stands_for}, as PyTorch loads it"
    plan, engine = run_result.plan, ENGINES.get(run_result.result.artifact.format, "onnxruntime")
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
