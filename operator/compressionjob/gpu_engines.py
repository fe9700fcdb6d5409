"""What a job and its runtime need for an engine that measures on a GPU."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from compressionjob.engines import GPU_ENGINES
from compressionjob.errors import FieldProblem
from compressionjob.field_types import cel, parse_quantity
from compressionjob.methods.predicate import AllOf, IsSet, Not, OneOf, Predicate, Some, Within

_GPU_RESOURCE: Final = re.compile(r"nvidia\.com/(gpu|gpu\.shared|mig-.+)")
"""Resources of NVIDIA's device plugin: whole GPUs, GPUs whose time is shared, and MIG instances."""

ON_GPU: Final = AllOf(IsSet("benchmark"), Within("benchmark", OneOf("engine", GPU_ENGINES)))
"""The condition that a spec is measured on a GPU."""


@dataclass(frozen=True)
class _Misfit:
    """A part of a spec that cannot be measured on a GPU: its condition and field below spec, and the remedy."""

    condition: Predicate
    field: str
    remedy: str


def _quantize(*conditions: Predicate) -> Predicate:
    return Some("pipeline", AllOf(IsSet("quantize"), Within("quantize", AllOf(*conditions))))


MISFITS: Final = (
    _Misfit(
        Within("output", OneOf("format", ("openvino",))),
        "output.format",
        "OpenVINO models are measured on the CPU; use onnx or auto, or leave spec.benchmark.engine out",
    ),
    _Misfit(
        _quantize(OneOf("backend", ("openvino",))),
        "pipeline",
        "quantize with backend openvino gives a model for the CPU; use backend onnxruntime, or leave "
        "spec.benchmark.engine out",
    ),
    _Misfit(
        _quantize(OneOf("method", ("dynamic",))),
        "pipeline",
        "onnxruntime runs the operators of dynamic quantization on the CPU only; use quantize with method static or "
        "cast, or leave spec.benchmark.engine out",
    ),
    _Misfit(
        AllOf(IsSet("sla"), Within("sla", IsSet("memory"))),
        "sla.memory",
        "it limits the memory of the host, and the model is in that of the GPU; limit sla.size instead, or leave "
        "spec.benchmark.engine out",
    ),
)
GPU_RULES: Final[list[JsonValue]] = [
    cel(Not(AllOf(ON_GPU, misfit.condition)).cel(), misfit.remedy, fieldPath=f".{misfit.field}") for misfit in MISFITS
]
"""Rules for the spec as a whole."""


def gpu_problems(spec: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Yield the parts of a spec, as in a manifest, that cannot be measured on its GPU engine."""
    for misfit in MISFITS:
        if AllOf(ON_GPU, misfit.condition).holds(spec):
            yield FieldProblem(f"spec.{misfit.field}", spec["benchmark"]["engine"], misfit.remedy)


def runtime_without_gpu(engine: str, name: str, limits: Mapping[str, str]) -> Iterator[FieldProblem]:
    """Yield the engine of a job if it needs a GPU, and the pods of the measuring runtime ``name`` get none.

    ``limits`` are those of the runtime's resources. The pod would report it too, but only after the stages.
    """
    has_gpu = any(_GPU_RESOURCE.fullmatch(key) and parse_quantity(amount) > 0 for key, amount in limits.items())
    if engine in GPU_ENGINES and not has_gpu:
        remedy = (
            f"the runtime {name!r} that measures has no GPU (no nvidia.com/gpu in its resources.limits); name one with "
            "a GPU in spec.sla.runtime or spec.runtime, or leave spec.benchmark.engine out"
        )
        yield FieldProblem("spec.benchmark.engine", engine, remedy)
