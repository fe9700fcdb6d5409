"""Prepare a graph for static quantization: fold constants, fuse BatchNorm into convolutions, name nodes."""

import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization.shape_inference import quant_pre_process

from compression_runner.calibration.layers import attribute
from compression_runner.formats.normalization import load, raise_opset
from compression_runner.formats.onnx_files import is_large, save

BIAS: Final = 2
OPSET: Final = 13
"""The first opset whose DequantizeLinear has an axis."""


def prepare(graph: Path, field: str = "", opset: int = OPSET) -> onnx.ModelProto:
    """Return the graph after onnxruntime's basic, portable optimizations, with the types of all values.

    Raises BadRecipe if its opset cannot be raised to `opset`, and ValueError, TypeError, KeyError or RuntimeError of
    onnx and onnxruntime if they cannot read it.
    """
    model = raise_opset(load(graph), opset, field)
    large = is_large(model)
    # It logs a traceback if the optimizer does not accept the graph, and continues without optimization.
    logging.getLogger("onnxruntime.quantization.shape_inference").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="prepare-") as folder:
        source, target = save(model, Path(folder)), Path(folder) / "prepared.onnx"
        quant_pre_process(
            str(source),
            str(target),
            skip_symbolic_shape=True,
            save_as_external_data=large,
            all_tensors_to_one_file=True,
        )
        model = onnx.load(target)
    _name_nodes(model)
    _flatten_biases(model)
    return model


def _flatten_biases(model: onnx.ModelProto) -> None:
    """Reshape every bias of a Gemm to (outputs,): the quantizer does not support other shapes, such as (1, outputs)."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Gemm" or len(node.input) <= BIAS or not {*node.input[1:]} <= constants.keys():
            continue
        bias = numpy_helper.to_array(constants[node.input[BIAS]])
        outputs = constants[node.input[1]].dims[0 if attribute(node, "transB", 0) else 1]
        if bias.shape != (outputs,) and bias.size in (1, outputs):
            name = f"{node.input[BIAS]}_of_{node.name}"
            flat = np.broadcast_to(bias.reshape(-1), (outputs,))
            model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(flat), name))
            node.input[BIAS] = name


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a unique name: the quantizer selects nodes by name."""
    counts = Counter(node.name for node in model.graph.node)
    for index, node in enumerate(model.graph.node):
        if not node.name or counts[node.name] > 1:
            node.name = f"{node.op_type}_{index}"
