"""Half precision: float16 for all of a graph, bfloat16 for the weights of a graph or of a Transformers directory."""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from compression_runner.formats.onnx_files import arrange, graphs, sort_nodes
from compression_runner.methods.quantize.converters import refusing

BFLOAT16_OPSET: Final = 13
"""The first whose Cast knows bfloat16."""
INDEX: Final = ".safetensors.index.json"


def to_float16(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, Any]]:
    """The model in float16, and how many weights were too large or too small for it.

    Raises QuantizerFailed where onnxruntime cannot convert the graph.
    """
    with refusing(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        converted = convert_float_to_float16(model, keep_io_types=True)
    truncated = sum("truncated" in str(warning.message) for warning in caught)
    _place_casts(converted.graph)
    half = sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in converted.graph.initializer)
    return converted, {"float16Tensors": half, "tensorsWithTruncatedValues": truncated}


def _place_casts(graph: onnx.GraphProto) -> None:
    """Moves the casts, which onnxruntime appends to the main graph, to where their inputs are made."""
    made = {name for node in graph.node for name in node.output}
    made |= {value.name for value in (*graph.input, *graph.initializer)}
    strays = {node.input[0]: node for node in graph.node if node.op_type == "Cast" and node.input[0] not in made}
    for body in graphs(graph):
        inner = {value.name for value in body.input} | {name for node in body.node for name in node.output}
        if body is not graph:
            body.node.extend(node for name, node in strays.items() if name in inner)
    arrange(graph, [node for node in graph.node if node.op_type != "Cast" or node.input[0] in made])
    for each in graphs(graph):
        sort_nodes(each)


def to_bfloat16(model: onnx.ModelProto) -> Mapping[str, Any]:
    """Stores matrices and kernels of a graph in bfloat16, rounded to the nearest; they are computed with as float32.

    onnxruntime has no kernels for bfloat16 on a CPU (1.32), but a Cast, which it does once, when the model is loaded.
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
    arrange(model.graph, [*casts, *model.graph.node])
    return {"bfloat16Tensors": len(casts)}


def directory_to_bfloat16(
    source: Path, shards: list[str], into: Path, advance: Callable[[float], None]
) -> Mapping[str, Any]:
    """Writes the shards of a Transformers directory in bfloat16, with index and configuration that say so.

    The configuration must lie in `into` already.
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
    _rewrite(into / "config.json", into / "config.json", lambda told: told | {"dtype": "bfloat16"} | _older(told))
    for index in source.glob(f"*{INDEX}"):
        _rewrite(index, into / index.name, lambda told: told | {"metadata": {"total_size": size}})
    return {"bfloat16Tensors": count}


def _older(told: Mapping[str, Any]) -> dict[str, Any]:
    """The name that transformers had for the type before its version 5, where the configuration uses it."""
    return {"torch_dtype": "bfloat16"} if "torch_dtype" in told else {}


def _rewrite(source: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    target.write_text(json.dumps(change(json.loads(source.read_text())), indent=2) + "\n")
