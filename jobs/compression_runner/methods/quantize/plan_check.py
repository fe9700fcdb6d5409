"""Detect graphs that cannot be quantized from their headers: quantized graphs, and float16 graphs."""

from collections.abc import Collection, Mapping
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compressionjob.methods.parameters import Parameters

QUANTIZED: Final = frozenset(
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
"""Operators that occur only in quantized graphs."""
FLOAT32_SCALES: Final = QUANTIZED - {"MatMulNBits"} | {"DequantizeLinear", "DynamicQuantizeLSTM"}
"""Operators of quantized graphs whose scales have to be float32."""
MATRICES: Final = frozenset({"MatMul", "Gemm", "Einsum", "Gather"})
"""Operators whose weights may be matrices."""
DYNAMIC: Final = MATRICES | {"Conv", "LSTM"}
FUSED: Final = frozenset({"Attention", "EmbedLayerNormalization"})
"""Operators of onnxruntime with weights that its dynamic quantizer takes."""
FLOAT16: Final = 10
"""onnx.TensorProto.FLOAT16, without importing onnx."""


def float_graph(parameters: Parameters, source: Source, field: str) -> None:
    """Raise BadRecipe for a quantized graph."""
    if source.format == "onnx":
        require_floats(parameters, source.operators, field)


def float32_graph(parameters: Parameters, source: Source, field: str) -> None:
    """Raise BadRecipe for a quantized graph, or one in float16."""
    if source.format != "onnx":
        return
    require_floats(parameters, source.operators, field)
    kinds = {tensor.name: tensor.dtype for tensor in source.tensors if tensor.name in source.multiplied}
    require_float32(parameters, {name: FLOAT16 if kind == "FLOAT16" else 0 for name, kind in kinds.items()}, field)


def graph_with_layers(parameters: Parameters, source: Source, field: str) -> None:
    """Raise BadRecipe for a graph that float32_graph refuses, and for one without operators for `dynamic`."""
    float32_graph(parameters, source, field)
    if source.format == "onnx" and not source.layers & DYNAMIC and not source.operators & FUSED:
        problem = "the graph has no MatMul, Gemm, Conv, LSTM or look-up in a table"
        raise BadRecipe("NothingToQuantize", field, parameters.variant, problem, "leave the stage out")


def graph_with_matrices(parameters: Parameters, source: Source, field: str) -> None:
    """Raise BadRecipe for a graph that float_graph refuses, and for one without matrices."""
    float_graph(parameters, source, field)
    if source.format == "onnx" and not source.layers & MATRICES:
        problem = "the graph has no MatMul, Gemm or look-up in a table"
        raise BadRecipe("NothingToQuantize", field, parameters.variant, problem, "use method static, dynamic or cast")


def require_floats(parameters: Parameters, operators: Collection[str], field: str) -> None:
    """Raise BadRecipe for a graph with operators of quantized graphs."""
    if parameters.variant in ("dynamic", "static", "weight-only"):
        refused = QUANTIZED
    else:
        refused = FLOAT32_SCALES if getattr(parameters, "dtype", None) == "float16" else frozenset()
    present = sorted(refused.intersection(operators))
    if present:
        problem = f"the graph is quantized already ({', '.join(present)})"
        raise BadRecipe("AlreadyQuantized", field, parameters.variant, problem, "name the float32 model")


def require_float32(parameters: Parameters, kinds: Mapping[str, int], field: str) -> None:
    """Raise BadRecipe for weights (name, ONNX type) in float16, which onnxruntime's quantizer does not accept."""
    half = [name for name, kind in kinds.items() if kind == FLOAT16]
    by_onnxruntime = getattr(parameters, "backend", None) != "openvino"
    integers = parameters.variant in ("dynamic", "static") and by_onnxruntime
    if half and integers:
        problem = f"the graph is float16 ({len(half)} of {len(kinds)} weights, for example {half[0]})"
        remedy = "name the float32 model; weight-only and prune accept float16"
        raise BadRecipe("IsFloat16", field, parameters.variant, problem, remedy)
