"""Measuring slots: which other pods a CompressionRuntime keeps off the CPUs or GPUs while a pod measures."""

import math
import re
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.field_types import ObjectName, Schema, parse_quantity
from compressionjob.job_parts import MEASURE, RUN

Isolation = Literal["StaticCPUs", "Node", "GPU", "Shared"]

STATIC_CPUS: Final = "StaticCPUs"
"""The kubelet's static CPU manager gives the pod exclusive CPUs."""
NODE: Final = "Node"
"""No other pod of CompressionJobs is on the node while one measures."""
GPU: Final = "GPU"
"""The pod has its GPUs or MIG instances alone. Other pods may measure on the node's other GPUs, and share its CPUs."""
SHARED: Final = "Shared"
"""Other pods may run on the same CPUs. Noise widens the intervals."""

GUARANTEED_RULE: Final = (
    "!has(self.measuring) || self.measuring.isolation != 'StaticCPUs' || (['cpu', 'memory'].all(name, "
    "name in self.resources.requests && name in self.resources.limits && "
    "quantity(string(self.resources.requests[name])).compareTo(quantity(string(self.resources.limits[name]))) == 0) && "
    "string(self.resources.requests['cpu']).matches('^[1-9][0-9]*$') && "
    "string(self.resources.limits['cpu']).matches('^[1-9][0-9]*$'))"
)
GUARANTEED_TEXT: Final = (
    "measuring.isolation StaticCPUs needs whole CPUs and a Guaranteed pod: make requests.cpu and limits.cpu the same "
    'whole number such as "2", and requests.memory and limits.memory the same amount; or choose Node or Shared'
)
_EXCLUSIVE_GPU: Final = re.compile(r"nvidia\.com/(gpu|mig-.+)")
"""Resources of NVIDIA's device plugin that one pod has alone; GPUs whose time is shared are nvidia.com/gpu.shared."""
GPU_RULE: Final = (
    "!has(self.measuring) || self.measuring.isolation != 'GPU' || self.resources.limits.exists(name, "
    "(name == 'nvidia.com/gpu' || name.startsWith('nvidia.com/mig-')) && "
    "quantity(string(self.resources.limits[name])).isGreaterThan(quantity('0')))"
)
GPU_TEXT: Final = (
    "measuring.isolation GPU needs a GPU or a MIG instance that the pod has alone: add nvidia.com/gpu or "
    "nvidia.com/mig-... to resources.limits; or choose StaticCPUs, Node or Shared"
)


class Measuring(Schema):
    """Where models are measured, and which pods may run there at the same time."""

    isolation: Isolation = Field(
        default=NODE,
        description="StaticCPUs: exclusive CPUs of the kubelet's static CPU manager. Node: no other pod of a "
        "CompressionJob runs on the node meanwhile. GPU: the pod has its GPUs alone, and other pods may run on the "
        "node's CPUs and other GPUs. Shared: other pods may run on the same CPUs.",
    )
    runtime: ObjectName | None = Field(
        default=None,
        description="CompressionRuntime that measures jobs of this runtime, unless their sla.runtime names one.",
    )


def slot_of(part: str, isolation: Isolation) -> str:
    """Return the kind of measuring slot that a part of a job needs: StaticCPUs, Node, GPU, or "" for none."""
    return isolation if part in (RUN, MEASURE) and isolation != SHARED else ""


def guaranteed_problems(requests: dict[str, str], limits: dict[str, str]) -> Iterator[FieldProblem]:
    """Yield the reasons why a pod with these resources would not get exclusive CPUs."""
    for name in ("cpu", "memory"):
        request, limit = requests.get(name), limits.get(name)
        same = request is not None and limit is not None and parse_quantity(request) == parse_quantity(limit)
        whole = name != "cpu" or all(re.fullmatch(r"[1-9]\d*", text or "") for text in (request, limit))
        if not (same and whole):
            value = f"{request or 'none'}, limits.{name} {limit or 'none'}"
            yield FieldProblem(f"spec.resources.requests.{name}", value, GUARANTEED_TEXT)


def isolation_of_cpus(isolation: Isolation) -> Isolation:
    """Return what keeps other work off the CPUs of a pod that measures: nothing if it only has its GPU alone."""
    return SHARED if isolation == GPU else isolation


def gpu_problems(limits: dict[str, str]) -> Iterator[FieldProblem]:
    """Yield the reason why a pod with these limits would have no GPU alone."""
    if not any(_EXCLUSIVE_GPU.fullmatch(name) and parse_quantity(limit) > 0 for name, limit in limits.items()):
        yield FieldProblem("spec.resources.limits", ", ".join(sorted(limits)) or "none", GPU_TEXT)


def reserved_cpus(requests: dict[str, str], limits: dict[str, str]) -> int:
    """Return how many CPUs a pod with these resources reserves, rounded up as the kubelet does; 0 for none.

    Kubernetes takes the limit where there is no request.
    """
    return math.ceil(parse_quantity(requests.get("cpu") or limits.get("cpu") or "0"))
