"""Fold weights that a graph computes from constants (a Transpose, a Cast, a weight norm) into constants."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from compression_runner.formats.graph_weights import WEIGHTS
from compression_runner.formats.onnx_files import save
from compression_runner.inference.onnx_session import RUNTIME_ERRORS, open_session

Folding = Literal["smaller", "floats", "all"]
"""Fold weights that take no more bytes when folded; also casts of short floats to longer ones; or everything."""

KEPT: Final = (
    "Random",
    "Multinomial",
    "Bernoulli",
    "Dropout",
    "Sequence",
    "Optional",
    "String",
    "Quantize",
    "Dequantize",
)
"""Prefixes of operators that are never folded: not constant, not a tensor, or quantization."""
FLOATS: Final = (np.float16, np.float32, np.float64)
MATRIX: Final = 2
SMALL: Final = 256
"""Maximum bytes of shapes and axes, which are ignored."""


@dataclass
class _Weight:
    """A value that operators read as a weight, with the nodes that compute it from the initializers `roots`."""

    value: ir.Value
    nodes: list[ir.Node]
    roots: list[ir.Value]
    key: tuple[Any, ...]
    array: NDArray[Any] | None = None


@dataclass
class _Group:
    """Weights that share an initializer: all of them are folded, or none."""

    weights: list[_Weight] = field(default_factory=list)

    @property
    def roots(self) -> list[ir.Value]:
        return list(dict.fromkeys(root for weight in self.weights for root in weight.roots))

    @property
    def distinct(self) -> dict[tuple[Any, ...], _Weight]:
        """One weight for each distinct computation."""
        return {weight.key: weight for weight in reversed(self.weights)}


class FoldWeightsPass(ir.passes.InPlacePass):
    """Replace weights that are computed from initializers; equal computations of several layers are stored once."""

    def __init__(self, folding: Folding) -> None:
        super().__init__()
        self._folding = folding

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold, group by group."""
        weights = list(_weights(model))
        modified = False
        for group in _groups(weights):
            freed = [root for root in group.roots if _is_freed(root, group)]
            if self._may_fold(group, freed) and _evaluate(model, group) and self._fits(group, freed):
                _replace(model, group, freed)
                modified = True
        return ir.passes.PassResult(model, modified)

    def _may_fold(self, group: _Group, freed: Sequence[ir.Value]) -> bool:
        return bool(freed) or self._is_wanted(group)

    def _is_wanted(self, group: _Group) -> bool:
        """Return whether the group is folded at any size."""
        casts = any(node.op_type == "Cast" for weight in group.weights for node in weight.nodes)
        return self._folding == "all" or (self._folding == "floats" and casts)

    def _fits(self, group: _Group, freed: Sequence[ir.Value]) -> bool:
        size = sum(weight.array.nbytes for weight in group.distinct.values() if weight.array is not None)
        return self._is_wanted(group) or size <= sum(_size(root) for root in freed)


def _weights(model: ir.Model) -> Iterator[_Weight]:
    known: set[ir.Value] = set()
    weights: dict[ir.Value, None] = {}
    # Nodes are in topological order.
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        constant = [source is None or source in known or _is_stored(source) for source in node.inputs]
        if node.inputs and all(constant) and _is_foldable(node):
            # A result of constants is a constant.
            known.update(node.outputs)
            continue
        for position in WEIGHTS.get(node.op_type, ()) if node.domain == "" else ():
            value = node.inputs[position] if position < len(node.inputs) else None
            if value in known:
                weights[value] = None
    for value in weights:
        if not value.is_graph_output():
            nodes, roots = _cone(value)
            yield _Weight(value, nodes, [root for root in roots if _size(root) > SMALL], _key(value))


def _is_stored(value: ir.Value) -> bool:
    """Return whether a value is an initializer, or a small number in a Constant node."""
    node = value.producer()
    return (value.is_initializer() and not value.is_graph_input()) or (node is not None and node.op_type == "Constant")


def _is_foldable(node: ir.Node) -> bool:
    graphs = any(entry.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for entry in node.attributes.values())
    return node.domain == "" and not node.op_type.startswith(KEPT) and not graphs


def _cone(value: ir.Value) -> tuple[list[ir.Node], list[ir.Value]]:
    """Return the nodes that compute a constant value, in order, and the initializers that they read."""
    nodes: dict[ir.Node, None] = {}
    roots: dict[ir.Value, None] = {}

    def visit(current: ir.Value) -> None:
        node = current.producer()
        if node is None:
            roots[current] = None
        elif node not in nodes:
            for source in node.inputs:
                if source is not None:
                    visit(source)
            nodes[node] = None

    visit(value)
    return list(nodes), list(roots)


def _key(value: ir.Value) -> tuple[Any, ...]:
    """Return a key that is equal for values with equal computations."""
    node = value.producer()
    if node is None:
        return (value.name,)
    attributes = tuple(sorted((name, _attribute_text(entry.value)) for name, entry in node.attributes.items()))
    sources = tuple(None if source is None else _key(source) for source in node.inputs)
    return (node.op_type, attributes, value.index(), sources)


def _attribute_text(value: Any) -> str:
    """Return an attribute as text; for a tensor its numbers, without its name."""
    if not isinstance(value, ir.TensorProtocol):
        return str(value)
    array = value.numpy()
    return f"{array.dtype} {array.shape} {array.tobytes().hex()}"


def _groups(weights: Sequence[_Weight]) -> list[_Group]:
    groups: list[_Group] = []
    for weight in weights:
        apart = [group for group in groups if not set(group.roots) & set(weight.roots)]
        joined = [other for group in groups if group not in apart for other in group.weights]
        groups = [*apart, _Group([*joined, weight])]
    return groups


def _is_freed(root: ir.Value, group: _Group) -> bool:
    """Return whether no node reads an initializer after the group is folded."""
    folded = {weight.value for weight in group.weights}
    inner = {node for weight in group.weights for node in weight.nodes}
    pending = [root]
    while pending:
        value = pending.pop()
        if value in folded:
            continue
        if value.is_graph_output() or any(use.node not in inner for use in value.uses()):
            return False
        pending.extend(output for use in value.uses() for output in use.node.outputs)
    return True


def _evaluate(model: ir.Model, group: _Group) -> bool:
    """Compute the weights of a group; return False if one cannot be computed, or is not a matrix of floats."""
    for weight in group.distinct.values():
        weight.array = _computed(model, weight)
        if weight.array is None or weight.array.ndim < MATRIX or weight.array.dtype not in FLOATS:
            return False
    return True


def _computed(model: ir.Model, weight: _Weight) -> NDArray[Any] | None:
    _, roots = _cone(weight.value)
    name = weight.value.name or ""
    graph = onnx.helper.make_graph(
        [ir.to_proto(node) for node in weight.nodes], "weight", [], [onnx.helper.make_empty_tensor_value_info(name)]
    )
    for root in roots:
        if root.const_value is None:
            return None
        tensor = graph.initializer.add()
        ir.serde.serialize_tensor_into(tensor, root.const_value)
        tensor.name = root.name or ""
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    with tempfile.TemporaryDirectory(prefix="fold-") as folder:
        one_node_model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=max(4, model.ir_version))
        try:
            result: NDArray[Any] = open_session(save(one_node_model, Path(folder))).run([name], {})[0]
        except RUNTIME_ERRORS:
            return None
    return result


def _replace(model: ir.Model, group: _Group, freed: Sequence[ir.Value]) -> None:
    distinct = group.distinct
    # A weight that only changes its layout keeps its name.
    kept_name = freed[0].name if len(freed) == len(distinct) == len(group.roots) == 1 else None
    for key, first in distinct.items():
        equal = [weight for weight in group.weights if weight.key == key]
        folded = _stored(kept_name or first.value.name or "", first.array)
        for weight in equal:
            weight.value.replace_all_uses_with(folded)
        _remove_unread([node for weight in equal for node in weight.nodes])
        for root in freed:
            if not root.uses():
                model.graph.initializers.pop(root.name or "", None)
        model.graph.register_initializer(folded)


def _stored(name: str, array: NDArray[Any] | None) -> ir.Value:
    numbers = np.ascontiguousarray(array)
    tensor = ir.tensor(numbers, name=name)
    return ir.Value(name=name, shape=ir.Shape(numbers.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)


def _remove_unread(nodes: Sequence[ir.Node]) -> None:
    for node in reversed(list(dict.fromkeys(nodes))):
        unread = not any(output.uses() or output.is_graph_output() for output in node.outputs)
        if unread and node.graph is not None:
            node.graph.remove(node, safe=True)


def _size(value: ir.Value) -> int:
    return value.const_value.nbytes if value.const_value is not None else 0
