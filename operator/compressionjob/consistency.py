"""Checks across the fields of a job. They run before any pod starts."""

from compressionjob.data import Data
from compressionjob.errors import FieldProblem
from compressionjob.locations import parse_location
from compressionjob.methods.quantize.engine import FOR_VLLM
from compressionjob.objectives import ERROR_METRICS, Sla
from compressionjob.pipeline import Stage
from compressionjob.rules import NO_FALLBACK, NO_REVIEW, OWN_DATA, either
from compressionjob.tasks import TASKS, Task


def data_problems(pipeline: list[Stage], data: Data) -> list[FieldProblem]:
    """Return the stages that train or calibrate and have no data for it."""
    problems = []
    for index, stage in enumerate(pipeline):
        for role in sorted(stage.parameters.needs()):
            if data.source_for(role) is None:
                fields = "spec.data.training" if role == "training" else "spec.data.calibration or spec.data.training"
                field = f"spec.pipeline[{index}].{stage.method}"
                problems.append(FieldProblem(field, stage.method, OWN_DATA.format(fields)))
    return problems


def format_problems(pipeline: list[Stage], output_format: str, task: Task) -> list[FieldProblem]:
    """Return output formats and backends that the pipeline cannot produce, such as ONNX from OpenVINO."""
    if output_format == "torch-export":
        titles = [stage.title for stage in pipeline if stage.parameters.excludes_program()]
        remedy = "the model after {} cannot be exported as a program; use onnx or auto"
        return [FieldProblem("spec.output.format", "torch-export", remedy.format(title)) for title in titles[:1]]
    for index, stage in enumerate(pipeline):
        method, backend = stage.key, getattr(stage.parameters, "backend", None)
        engine = backend if backend in FOR_VLLM else None
        if engine and task != "text-generation":
            remedy = "it quantizes language models (task text-generation); use backend onnxruntime"
            return [FieldProblem(f"spec.pipeline[{index}].quantize.backend", engine, remedy)]
        if method == ("quantize", "qat") and TASKS[task].running_text:
            # The trained model has no key-value cache, and generation needs one.
            remedy = "language models are quantized by method weight-only; use it, with algorithm gptq for few bits"
            return [FieldProblem(f"spec.pipeline[{index}].quantize.method", "qat", remedy)]
        if engine and output_format != "auto":
            remedy = f"backend {engine} gives a Transformers folder for vLLM; use auto, or another backend"
            return [FieldProblem("spec.output.format", output_format, remedy)]
        if backend == "openvino" and output_format == "onnx":
            remedy = "quantize with backend openvino gives an OpenVINO model; use openvino or auto, or another backend"
            return [FieldProblem("spec.output.format", "onnx", remedy)]
    return []


def metric_problems(sla: Sla, task: Task) -> list[FieldProblem]:
    """Return a metric that the task does not have, and limits that do not fit the kind of the task's default metric."""
    traits, quality = TASKS[task], sla.quality
    if quality is None:
        return []
    if quality.metric is not None:
        if quality.metric in traits.metrics:
            return []
        remedy = f"task {task} is not measured by it; use {either(traits.metrics)}"
        return [FieldProblem("spec.sla.quality.metric", quality.metric, remedy)]
    errors = [name in ERROR_METRICS for name in traits.defaults]
    if quality.limits_score and all(errors):
        remedy = f"task {task} is measured by {traits.defaults[0]}, an error: set maxIncrease or max instead"
    elif quality.limits_error and not any(errors):
        remedy = f"task {task} is measured by {traits.defaults[0]}, a score: set maxDrop or min instead"
    else:
        return []
    limits = {name: value for name, value in quality.to_json().items() if name != "metric"}
    return [FieldProblem(f"spec.sla.quality.{name}", value, remedy) for name, value in limits.items()]


def overlap_problems(source: str, destination: str) -> list[FieldProblem]:
    """Return the destination if it lies in or around the folder of the source model."""
    read = str(parse_location(source)).rstrip("/") + "/"
    written = str(parse_location(destination)).rstrip("/") + "/"
    if not written.startswith(read) and not read.startswith(written):
        return []
    remedy = f"the result would lie in or over the model's own folder {source}; choose another folder"
    return [FieldProblem("spec.output.destination", destination, remedy)]


def review_problems(review: str, timeout: str | None) -> list[FieldProblem]:
    """Return the review timeout of a job that has no review."""
    if review != "Never" or timeout is None:
        return []
    return [FieldProblem("spec.reviewTimeout", timeout, NO_REVIEW)]


def fallback_problems(sla: Sla, pipeline: list[Stage]) -> list[FieldProblem]:
    """Return Fallback where no earlier stage gives another model; pack does not change the model."""
    if sla.on_violation != "Fallback" or sum(stage.method != "pack" for stage in pipeline) > 1:
        return []
    return [FieldProblem("spec.sla.onViolation", "Fallback", NO_FALLBACK)]
