"""Measuring slots: which other pods a CompressionRuntime keeps off the CPUs while a pod measures."""

import math
import re
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.field_types import ObjectName, Schema, parse_quantity
from compressionjob.job_parts import MEASURE, RUN

Isolation = Literal["StaticCPUs", "Node", "Shared"]

STATIC_CPUS: Final = "StaticCPUs"
"""The kubelet's static CPU manager gives the pod exclusive CPUs."""
NODE: Final = "Node"
"""No other pod of CompressionJobs is on the node while one measures."""
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


class Measuring(Schema):
    """Where models are measured, and which pods may run there at the same time."""

    isolation: Isolation = Field(
        default=NODE,
        description="StaticCPUs: exclusive CPUs of the kubelet's static CPU manager. Node: no other pod of a "
        "CompressionJob runs on the node meanwhile. Shared: other pods may run on the same CPUs.",
    )
    runtime: ObjectName | None = Field(
        default=None,
        description="CompressionRuntime that measures jobs of this runtime, unless their sla.runtime names one.",
    )


def slot_of(part: str, isolation: Isolation) -> str:
    """Return the kind of measuring slot that a part of a job needs: StaticCPUs, Node, or "" for none."""
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


def reserved_cpus(requests: dict[str, str], limits: dict[str, str]) -> int:
    """Return how many CPUs a pod with these resources reserves, rounded up as the kubelet does; 0 for none.

    Kubernetes takes the limit where there is no request.
    """
    return math.ceil(parse_quantity(requests.get("cpu") or limits.get("cpu") or "0"))
