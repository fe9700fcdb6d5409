"""Write packed weights to a graph, for onnxruntime's MatMulNBits and GatherBlockQuantized."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compression_runner.calibration.layers import GraphLayer, consumers, tensor_of
from compression_runner.calibration.scaling import Division
from compression_runner.methods.quantize.weight_only.packing import PackedWeight
from compression_runner.methods.quantize.weight_only.weight_selection import WeightSelection

DOMAIN: Final = "com.microsoft"
ACCURACY: Final = 4
"""The kernel quantizes activations to INT8 by groups: measured 2.04 times the speed of FP32, and 0.90 without."""


def write(
    model: onnx.ModelProto,
    selection: WeightSelection,
    packed: Mapping[str, PackedWeight],
    divisions: Sequence[Division] = (),
) -> None:
    """Replace every layer and look-up whose weight is in `packed` (by the name of the initializer).

    Layers of a division read its result.
    """
    sources = {node_index: division.result for division in divisions for node_index in division.layers}
    before = {min(division.layers): division.node for division in divisions}
    kinds = {name: helper.tensor_dtype_to_np_dtype(tensor_of(model, name).data_type) for name in packed}
    layers = {layer.index: layer for layer in selection.layers if layer.weight in packed}
    lookups = {
        node_index: name
        for name, node_indices in selection.tables.items()
        if name in packed
        for node_index in node_indices
    }
    # A tied table is stored once: the look-up reads the matrix of the product, reshaped to rows of bytes.
    nodes: list[onnx.NodeProto] = [
        helper.make_node("Reshape", [f"{name}.codes", f"{name}.shape"], [f"{name}.rows"])
        for name in sorted(selection.tied & packed.keys())
    ]
    for index, node in enumerate(model.graph.node):
        if index in before:
            nodes.append(before[index])
        if index in layers:
            node.input[0] = sources.get(index, node.input[0])
            nodes.extend(_product(node, layers[index], packed[layers[index].weight]))
        elif index in lookups:
            name = lookups[index]
            nodes.extend(_lookup(node, name, packed[name], tied=name in selection.tied))
        else:
            nodes.append(node)
    constants = [constant for name in packed for constant in _constants(name, packed[name], selection, kinds[name])]
    _replace(model, nodes, constants)


def _product(node: onnx.NodeProto, layer: GraphLayer, packed: PackedWeight) -> Iterator[onnx.NodeProto]:
    biased = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])
    result = f"{node.output[0]}.unbiased" if biased else node.output[0]
    yield helper.make_node(
        "MatMulNBits",
        [node.input[0], *_names(layer.weight, packed)],
        [result],
        name=node.name,
        domain=DOMAIN,
        K=layer.inputs,
        N=layer.outputs,
        bits=packed.bits,
        block_size=packed.group,
        accuracy_level=ACCURACY,
    )
    if biased:
        yield helper.make_node("Add", [result, node.input[2]], [node.output[0]])


def _lookup(node: onnx.NodeProto, name: str, packed: PackedWeight, *, tied: bool) -> Iterator[onnx.NodeProto]:
    codes, *others = _names(name, packed)
    cut = tied and packed.padded_inputs != packed.inputs
    result = f"{node.output[0]}.filled" if cut else node.output[0]
    yield helper.make_node(
        "GatherBlockQuantized",
        [f"{name}.rows" if tied else codes, node.input[1], *others],
        [result],
        name=node.name,
        domain=DOMAIN,
        bits=packed.bits,
        block_size=packed.group,
        gather_axis=0,
        quantize_axis=1,
    )
    if cut:
        bounds = [f"{name}.{part}" for part in ("start", "end", "axis")]
        yield helper.make_node("Slice", [result, *bounds], [node.output[0]])


def _names(name: str, packed: PackedWeight) -> list[str]:
    return [f"{name}.codes", f"{name}.scales", *([] if packed.zeros is None else [f"{name}.zeros"])]


def _constants(
    name: str, packed: PackedWeight, selection: WeightSelection, kind: np.dtype[np.generic]
) -> Iterator[onnx.TensorProto]:
    rows = packed.data.reshape(len(packed.data), -1)
    only_table = name in selection.tables and name not in selection.tied
    used = packed.inputs * packed.bits // 8
    yield numpy_helper.from_array(np.ascontiguousarray(rows[:, :used]) if only_table else packed.data, f"{name}.codes")
    yield numpy_helper.from_array(packed.scales.astype(kind), f"{name}.scales")
    if packed.zeros is not None:
        yield numpy_helper.from_array(packed.zeros, f"{name}.zeros")
    if name in selection.tied:
        yield _integers(f"{name}.shape", [len(rows), rows.shape[1]])
        if packed.padded_inputs != packed.inputs:
            yield _integers(f"{name}.start", [0])
            yield _integers(f"{name}.end", [packed.inputs])
            yield _integers(f"{name}.axis", [-1])


def _integers(name: str, values: list[int]) -> onnx.TensorProto:
    array: NDArray[np.int64] = np.asarray(values, np.int64)
    tensor: onnx.TensorProto = numpy_helper.from_array(array, name)
    return tensor


def _replace(model: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> None:
    """Replace the nodes and add the constants; remove unread transposes and initializers."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    outputs = {value.name for value in model.graph.output}
    while True:
        read = outputs | consumers(model).keys()
        kept = [node for node in model.graph.node if node.op_type != "Transpose" or set(node.output) & read]
        if len(kept) == len(model.graph.node):
            break
        del model.graph.node[:]
        model.graph.node.extend(kept)
    unread = {tensor.name for tensor in model.graph.initializer if tensor.name not in read}
    initializers = [tensor for tensor in model.graph.initializer if tensor.name not in unread]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*initializers, *constants])
    # Before IR version 4, initializers were also inputs.
    for value in [value for value in model.graph.input if value.name in unread]:
        model.graph.input.remove(value)
    if not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
