"""Checks of the serving benchmark and its limits against the rest of the job."""

import math
from collections.abc import Iterator
from typing import Final

from compressionjob.errors import FieldProblem
from compressionjob.objectives import Sla
from compressionjob.serving import (
    ENDS_EARLY,
    FIND_RATIO_REMEDY,
    FIND_REMEDY,
    FORMAT_REMEDY,
    GOODPUT_REMEDY,
    GRAPH_LIMITS,
    GRAPH_REMEDY,
    LENGTH_REMEDY,
    NEEDS_SERVING,
    RATE_REMEDY,
    SERVING_LIMITS,
    SHORTER_REMEDY,
    TASK_REMEDY,
    Serving,
)
from compressionjob.tasks import Task

ENGINE: Final = "vllm"


def serving_problems(sla: Sla, task: Task, serving: Serving | None, output_format: str) -> Iterator[FieldProblem]:
    """Yield limits that are not measured on the engine of the job, and jobs that the engine cannot serve."""
    limits = {name for name in sla.to_json() if name in (*SERVING_LIMITS, *GRAPH_LIMITS)}
    if serving is None:
        yield from (FieldProblem(f"spec.sla.{name}", "", NEEDS_SERVING) for name in SERVING_LIMITS if name in limits)
    else:
        yield from (FieldProblem(f"spec.sla.{name}", ENGINE, GRAPH_REMEDY) for name in GRAPH_LIMITS if name in limits)
        if task != "text-generation":
            yield FieldProblem("spec.benchmark.engine", ENGINE, TASK_REMEDY)
        if output_format != "auto":
            yield FieldProblem("spec.output.format", output_format, FORMAT_REMEDY)
        if sla.output_length and serving.output_tokens is not None:
            yield FieldProblem("spec.sla.outputLength", f"outputTokens {serving.output_tokens}", LENGTH_REMEDY)
        yield from _load_problems(sla, serving)
    if sla.goodput and not _bounds_latency(sla):
        yield FieldProblem("spec.sla.goodput", "", GOODPUT_REMEDY)


def _bounds_latency(sla: Sla) -> bool:
    return any(limit.max is not None for limit in sla.served_latencies().values())


def _load_problems(sla: Sla, serving: Serving) -> Iterator[FieldProblem]:
    """Yield limits on speed without one on the length of answers, and a goodput above the arrivals."""
    bounded = sla.output_length is not None and sla.output_length.min_ratio is not None
    early = [name for name in ENDS_EARLY if name in sla.to_json()]
    if serving.max_output_tokens is not None and early and not bounded:
        yield FieldProblem("spec.sla.outputLength", f"{early[0]} without minRatio", SHORTER_REMEDY)
    if sla.goodput and sla.goodput.min is not None and sla.goodput.min > (serving.request_rate or math.inf):
        yield FieldProblem("spec.sla.goodput.min", f"{sla.goodput.min:g}", RATE_REMEDY)
    if serving.find_max_rate:
        yield from _search_problems(sla)


def _search_problems(sla: Sla) -> Iterator[FieldProblem]:
    """Yield what keeps a search from having a highest rate, or two latencies under one load."""
    if not _bounds_latency(sla):
        yield FieldProblem("spec.benchmark.serving.findMaxRate", "true", FIND_REMEDY)
    for name, limit in sla.served_latencies().items():
        if limit.max_ratio is not None:
            yield FieldProblem(f"spec.sla.{name}.maxRatio", f"{limit.max_ratio:g}", FIND_RATIO_REMEDY)
