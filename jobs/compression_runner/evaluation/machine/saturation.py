"""Recognize models whose answers depend on the CPU, because their 8-bit products saturate on it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import onnx

from compression_runner.formats.onnx_files import nodes, tensors
from compression_runner.inference import integer_products
from compression_runner.inference.predictor import Engine

NOTE: Final = "8-bit products of onnxruntime saturate on this CPU (x86 without VNNI); with VNNI the answers differ"
MULTIPLIED: Final = (
    "ConvInteger", "DynamicQuantizeLSTM", "MatMulInteger", "QAttention", "QGemm", "QLinearConv", "QLinearMatMul",
    "QuantizeLinear",
)  # fmt: skip
"""Operators that multiply integers; onnxruntime fuses a product between QuantizeLinear and DequantizeLinear to one."""


def saturation_note(models: Iterable[Path], engine: Engine) -> str:
    """Return a note if 8-bit products of one of the models saturate on this CPU; empty otherwise."""
    if engine != "onnxruntime" or not integer_products.saturates():
        return ""
    return NOTE if any(map(_multiplies_int8, models)) else ""


def _multiplies_int8(graph: Path) -> bool:
    """Return whether a graph multiplies by weights of int8; products of uint8 and uint8 are exact."""
    model = onnx.load(graph, load_external_data=False)
    integers = any(tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1 for tensor in tensors(model))
    return integers and any(node.op_type in MULTIPLIED for node in nodes(model.graph))
