"""A graph made ready for static quantization: constants folded, BatchNorm within its convolution, nodes with names."""

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
"""The first whose DequantizeLinear has an axis."""


def prepare(graph: Path, field: str = "", opset: int = OPSET) -> onnx.ModelProto:
    """The graph after onnxruntime's basic optimisations, which hold on any machine, with the types of all values.

    Raises BadRecipe where its opset cannot be raised to `opset`, and ValueError, TypeError, KeyError or RuntimeError
    from onnx and onnxruntime where they cannot read it.
    """
    model = raise_opset(load(graph), opset, field)
    large = is_large(model)
    # It logs a traceback where the optimiser does not take the graph, and goes on without.
    logging.getLogger("onnxruntime.quantization.shape_inference").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="prepare-") as place:
        source, target = save(model, Path(place)), Path(place) / "prepared.onnx"
        quant_pre_process(
            str(source),
            str(target),
            skip_symbolic_shape=True,
            save_as_external_data=large,
            all_tensors_to_one_file=True,
        )
        model = onnx.load(target)
    _name_nodes(model)
    _lay_out_biases(model)
    return model


def _lay_out_biases(model: onnx.ModelProto) -> None:
    """Gives every bias of a Gemm one number for each output: the quantizer reads no other, such as (1, outputs)."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Gemm" or len(node.input) <= BIAS or not {*node.input[1:]} <= constants.keys():
            continue
        bias = numpy_helper.to_array(constants[node.input[BIAS]])
        outputs = constants[node.input[1]].dims[0 if attribute(node, "transB", 0) else 1]
        if bias.shape != (outputs,) and bias.size in (1, outputs):
            name = f"{node.input[BIAS]}_of_{node.name}"
            laid = np.broadcast_to(bias.reshape(-1), (outputs,))
            model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(laid), name))
            node.input[BIAS] = name


def _name_nodes(model: onnx.ModelProto) -> None:
    """Gives every node a name of its own: which ones are quantized is told by name."""
    counts = Counter(node.name for node in model.graph.node)
    for index, node in enumerate(model.graph.node):
        if not node.name or counts[node.name] > 1:
            node.name = f"{node.op_type}_{index}"
