"""Where the nodes of a graph ran, from onnxruntime's profile of one run.

`session.disable_cpu_ep_fallback` cannot decide this: it also refuses the nodes that compute shapes, which onnxruntime
puts on the CPU on purpose, since a GPU would be slower. The profile has the provider of each node that ran, and the
types and shapes of its tensors.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CPU_PROVIDER: Final = "CPUExecutionProvider"
SHAPE_TYPES: Final = frozenset({"int64", "int32", "bool"})
SHAPE_ELEMENTS: Final = 64
"""Most elements of a tensor that is taken for a shape: several times the dimensions of any tensor."""
READS_SHAPES: Final = frozenset({"Shape", "Size"})
"""Operators that read only the shape of their input, whatever its type is."""
_KERNEL: Final = "_kernel_time"
Tensors = Sequence[Mapping[str, Sequence[int]]]
"""Type -> shape, one for each tensor."""


@dataclass(frozen=True)
class Placement:
    """How many nodes ran on each provider, and the operators on the CPU: those of shapes, and all others."""

    nodes: Mapping[str, int]
    shapes: Mapping[str, int]
    computed: Mapping[str, int]

    def problem(self, provider: str) -> str:
        """Return why a run does not count for a provider; empty if it does."""
        if self.computed:
            count, total = sum(self.computed.values()), sum(self.nodes.values())
            return f"{count} of {total} nodes ran on the CPU and not in {provider}: {listed(self.computed)}"
        return "" if self.nodes.get(provider) else f"{provider} ran no node of the graph"


def read_placement(profile: Path) -> Placement:
    """Return the placement of the nodes in a profile; a node that ran several times counts once."""
    # Names need not be unique, and indices start again in each subgraph.
    nodes: dict[tuple[str, str], Mapping[str, Any]] = {
        (str(event["name"]), str(event["args"].get("node_index"))): event["args"]
        for event in json.loads(profile.read_text())
        if event.get("cat") == "Node" and str(event.get("name")).endswith(_KERNEL)
    }
    counts: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    computed: Counter[str] = Counter()
    for node in nodes.values():
        counts[node["provider"]] += 1
        if node["provider"] == CPU_PROVIDER:
            (shapes if computes_shapes(node) else computed)[node["op_name"]] += 1
    return Placement(_sorted(counts), _sorted(shapes), _sorted(computed))


def computes_shapes(node: Mapping[str, Any]) -> bool:
    """Return whether a node computes shapes only: from small tensors of integers to such tensors."""
    read: Tensors = () if node["op_name"] in READS_SHAPES else node.get("input_type_shape", ())
    written: Tensors = node.get("output_type_shape", ())
    return bool(written) and all(
        kind in SHAPE_TYPES and math.prod(shape) <= SHAPE_ELEMENTS
        for tensor in (*read, *written)
        for kind, shape in tensor.items()
    )


def listed(operators: Mapping[str, int], most: int = 5) -> str:
    """Return operators with their counts, the most frequent first."""
    ordered = sorted(operators.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(f"{name} ({count})" for name, count in ordered[:most]) + more


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
