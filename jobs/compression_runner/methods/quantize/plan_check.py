"""Graphs that cannot be quantized, seen from their headers: quantized ones, and those in float16."""

from collections.abc import Collection, Mapping
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compressionjob.methods.parameters import Parameters

ALREADY: Final = frozenset(
    {
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "QLinearMatMul",
        "QLinearConv",
        "QuantizeLinear",
        "MatMulNBits",
    }
)
"""Operators that only a graph has that was quantized before."""
FLOAT16: Final = 10
"""onnx.TensorProto.FLOAT16, for which onnx need not be loaded."""


def float_graph(parameters: Parameters, source: Source, field: str) -> None:
    """Raise BadRecipe for a graph that is quantized already."""
    if source.format == "onnx":
        require_floats(parameters, source.operators, field)


def float32_graph(parameters: Parameters, source: Source, field: str) -> None:
    """Raise BadRecipe for a graph that is quantized already, or in float16."""
    if source.format != "onnx":
        return
    require_floats(parameters, source.operators, field)
    kinds = {tensor.name: tensor.dtype for tensor in source.tensors if tensor.name in source.multiplied}
    require_float32(parameters, {name: FLOAT16 if kind == "FLOAT16" else 0 for name, kind in kinds.items()}, field)


def require_floats(parameters: Parameters, operators: Collection[str], field: str) -> None:
    """Raise BadRecipe for a graph that has operators of quantized ones."""
    found = sorted(ALREADY.intersection(operators))
    if found and parameters.variant in ("dynamic", "static", "weight-only"):
        problem = f"the graph is quantized already ({', '.join(found)})"
        raise BadRecipe("AlreadyQuantized", field, parameters.variant, problem, "name the float32 model")


def require_float32(parameters: Parameters, kinds: Mapping[str, int], field: str) -> None:
    """Raise BadRecipe for weights (name, type of onnx) in float16, which onnxruntime's quantizer does not take."""
    half = [name for name, kind in kinds.items() if kind == FLOAT16]
    by_onnxruntime = getattr(parameters, "backend", None) != "openvino"
    integers = parameters.variant in ("dynamic", "static") and by_onnxruntime
    if half and integers:
        problem = f"the graph is float16 ({len(half)} of {len(kinds)} weights, {half[0]} among them)"
        remedy = "name the float32 model; weight-only and prune take float16"
        raise BadRecipe("IsFloat16", field, parameters.variant, problem, remedy)
