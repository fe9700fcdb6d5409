"""What a job and its runtime need for an engine that measures on a GPU."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from compressionjob.engine_misfits import Misfit, measured_in, misfit_rules, some_stage
from compressionjob.engines import GPU_ENGINES, PROVIDER_ENGINES
from compressionjob.errors import FieldProblem
from compressionjob.field_types import parse_quantity
from compressionjob.methods.predicate import AllOf, IsSet, OneOf, Predicate, Within

_GPU_RESOURCE: Final = re.compile(r"nvidia\.com/(gpu|gpu\.shared|mig-.+)")
"""Resources of NVIDIA's device plugin: whole GPUs, GPUs whose time is shared, and MIG instances."""

ON_GPU: Final = measured_in(GPU_ENGINES)
ON_PROVIDER: Final = measured_in(PROVIDER_ENGINES)


def _in_provider(condition: Predicate, field: str, remedy: str) -> Misfit:
    return Misfit(AllOf(ON_PROVIDER, condition), field, remedy)


GPU_MISFITS: Final = (
    _in_provider(
        Within("output", OneOf("format", ("openvino",))),
        "output.format",
        "OpenVINO models are measured on the CPU; use onnx or auto, or leave spec.benchmark.engine out",
    ),
    _in_provider(
        some_stage("quantize", OneOf("backend", ("openvino",))),
        "pipeline",
        "quantize with backend openvino gives a model for the CPU; use backend onnxruntime, or leave "
        "spec.benchmark.engine out",
    ),
    _in_provider(
        some_stage("quantize", OneOf("method", ("dynamic",))),
        "pipeline",
        "onnxruntime runs the operators of dynamic quantization on the CPU only; use quantize with method static or "
        "cast, or leave spec.benchmark.engine out",
    ),
    Misfit(
        AllOf(ON_GPU, IsSet("sla"), Within("sla", IsSet("memory"))),
        "sla.memory",
        "it limits the memory of the host, and the model is in that of the GPU; limit sla.size instead, or leave "
        "spec.benchmark.engine out",
    ),
)
GPU_RULES: Final = misfit_rules(GPU_MISFITS)
"""Rules for the spec as a whole."""


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
