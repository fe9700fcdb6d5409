"""Measuring slots: what a CompressionRuntime keeps off the CPUs while a pod measures on them."""

import math
import re
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.parts import MEASURE, RUN
from compressionjob.schema import ObjectName, Schema, parse_quantity

Isolation = Literal["StaticCPUs", "Node", "Shared"]

STATIC_CPUS: Final = "StaticCPUs"
"""The kubelet's static CPU manager gives the pod whole CPUs, and nothing else runs on them."""
NODE: Final = "Node"
"""No other pod of CompressionJobs is on the node while one measures."""
SHARED: Final = "Shared"
"""Anything may run beside it: noise is left to the statistics."""

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
    """Where models are measured, and what may run there meanwhile."""

    isolation: Isolation = Field(
        default=NODE,
        description="StaticCPUs: whole CPUs of the kubelet's static CPU manager, for this pod alone. Node: a pod of "
        "its own, with no other pod of a CompressionJob on its node. Shared: anything may run beside it.",
    )
    runtime: ObjectName | None = Field(
        default=None,
        description="CompressionRuntime in which jobs of this one are measured, unless their sla.runtime names one.",
    )


def slot_of(part: str, isolation: Isolation) -> str:
    """Return the kind of measuring slot that a part of a job needs: StaticCPUs, Node, or "" for none."""
    return isolation if part in (RUN, MEASURE) and isolation != SHARED else ""


def guaranteed_problems(requests: dict[str, str], limits: dict[str, str]) -> Iterator[FieldProblem]:
    """What keeps a pod with these resources from having whole CPUs for itself."""
    for name in ("cpu", "memory"):
        asked, limit = requests.get(name), limits.get(name)
        same = asked is not None and limit is not None and parse_quantity(asked) == parse_quantity(limit)
        whole = name != "cpu" or all(re.fullmatch(r"[1-9]\d*", text or "") for text in (asked, limit))
        if not (same and whole):
            value = f"{asked or 'none'}, limits.{name} {limit or 'none'}"
            yield FieldProblem(f"spec.resources.requests.{name}", value, GUARANTEED_TEXT)


def reserved_cpus(requests: dict[str, str], limits: dict[str, str]) -> int:
    """Return how many CPUs a pod with these resources has reserved, rounded up as the kubelet does; 0 for none.

    Kubernetes takes the limit where there is no request.
    """
    return math.ceil(parse_quantity(requests.get("cpu") or limits.get("cpu") or "0"))
