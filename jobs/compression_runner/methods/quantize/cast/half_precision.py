"""Half precision: float16 for a whole graph, bfloat16 for the weights of a graph or a Transformers directory."""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from compression_runner.formats.onnx_files import graphs, set_nodes, sort_nodes
from compression_runner.methods.quantize.converters import quantizer_errors

BFLOAT16_OPSET: Final = 13
"""The first opset whose Cast supports bfloat16."""
INDEX: Final = ".safetensors.index.json"


def to_float16(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, Any]]:
    """Return the model in float16, and the number of weights with values out of its range.

    Raises QuantizerFailed if onnxruntime cannot convert the graph.
    """
    with quantizer_errors(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        converted = convert_float_to_float16(model, keep_io_types=True)
    truncated = sum("truncated" in str(warning.message) for warning in caught)
    _place_casts(converted.graph)
    for graph in graphs(converted.graph):
        _part_transposes(graph)
    half = sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in converted.graph.initializer)
    return converted, {"float16Tensors": half, "tensorsWithTruncatedValues": truncated}


def _place_casts(graph: onnx.GraphProto) -> None:
    """Move the casts, which onnxruntime appends to the main graph, to the graph of their inputs."""
    produced = {name for node in graph.node for name in node.output}
    produced |= {value.name for value in (*graph.input, *graph.initializer)}
    misplaced = {node.input[0]: node for node in graph.node if node.op_type == "Cast" and node.input[0] not in produced}
    for body in graphs(graph):
        inner = {value.name for value in body.input} | {name for node in body.node for name in node.output}
        if body is not graph:
            body.node.extend(node for name, node in misplaced.items() if name in inner)
    set_nodes(graph, [node for node in graph.node if node.op_type != "Cast" or node.input[0] in produced])
    for each in graphs(graph):
        sort_nodes(each)


def _part_transposes(graph: onnx.GraphProto) -> None:
    """Put a Concat of one input between a Transpose that rotates axes and a product with a constant.

    onnxruntime (1.32) fuses the two into a FusedMatMul with transBatchA, and in float16 its process ends while it loads
    the graph.
    """
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    wanted: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.input and all(name in constants for name in node.input):
            constants.update(node.output)
        for place, name in enumerate(node.input) if node.op_type == "MatMul" else ():
            if node.input[1 - place] in constants and _is_rotated(makers.get(name), makers):
                node.input[place] = f"{node.output[0]}.parted{place}"
                wanted.append(helper.make_node("Concat", [name], [node.input[place]], axis=0))
        wanted.append(node)
    if len(wanted) > len(graph.node):
        set_nodes(graph, wanted)


def _is_rotated(node: onnx.NodeProto | None, makers: Mapping[str, onnx.NodeProto]) -> bool:
    """Return whether a Transpose made a value, behind casts or not, that moves the first axis behind the others."""
    while node is not None and node.op_type == "Cast":
        node = makers.get(node.input[0])
    if node is None or node.op_type != "Transpose":
        return False
    axes = next((list(entry.ints) for entry in node.attribute if entry.name == "perm"), [])
    last = len(axes) - 1
    return last >= 2 and axes[:-2] == [*range(1, last)] and set(axes[-2:]) == {0, last}


def to_bfloat16(model: onnx.ModelProto) -> Mapping[str, Any]:
    """Store matrices and kernels of a graph in bfloat16, rounded to nearest; computations use float32.

    onnxruntime has no bfloat16 kernels on a CPU (1.32) except Cast, which it runs once when it loads the model.
    """
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2 or tensor.name in fixed:
            continue
        name = tensor.name
        rounded = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
        tensor.CopyFrom(numpy_helper.from_array(rounded, f"{name}.bfloat16"))
        casts.append(helper.make_node("Cast", [f"{name}.bfloat16"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    set_nodes(model.graph, [*casts, *model.graph.node])
    return {"bfloat16Tensors": len(casts)}


def directory_to_bfloat16(
    source: Path, shards: list[str], into: Path, advance: Callable[[float], None]
) -> Mapping[str, Any]:
    """Write the shards of a Transformers directory in bfloat16, and update index and configuration.

    The configuration must already be in `into`.
    """
    import torch
    from safetensors.torch import load_file

    from compression_runner.formats.safetensors_files import save_shard

    count, size = 0, 0
    for number, shard in enumerate(shards):
        tensors = load_file(source / shard)
        for name, tensor in tensors.items():
            if tensor.dtype in (torch.float32, torch.float64, torch.float16):
                tensors[name] = tensor.to(torch.bfloat16)
                count += 1
            size += tensors[name].nbytes
        save_shard(tensors, into / shard)
        advance((number + 1) / len(shards))
    _rewrite(into / "config.json", into / "config.json", lambda config: config | _dtype_settings(config))
    for index in source.glob(f"*{INDEX}"):
        _rewrite(index, into / index.name, lambda content: content | {"metadata": {"total_size": size}})
    return {"bfloat16Tensors": count}


def _dtype_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for the type, with the name before transformers 5 if the configuration uses it."""
    return {"dtype": "bfloat16"} | ({"torch_dtype": "bfloat16"} if "torch_dtype" in config else {})


def _rewrite(source: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    target.write_text(json.dumps(change(json.loads(source.read_text())), indent=2) + "\n")
