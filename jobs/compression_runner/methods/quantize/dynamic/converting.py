"""INT8 by onnxruntime's dynamic scheme: integer operators, with activations that are quantized while the model runs.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from compression_runner.formats.graph_weights import left_out, sizes_of_weights
from compression_runner.formats.onnx_files import graphs, is_large, nodes
from compression_runner.methods.quantize.converters import quiet

OPSET: Final = 11
"""The first that has DynamicQuantizeLinear."""
QUANTIZED: Final = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "QAttention", "QEmbedLayerNormalization")


def quantize(model: onnx.ModelProto, target: Path, *, per_channel: bool) -> Mapping[str, Any]:
    """Writes the model with INT8 weights to `target`, and counts what was quantized.

    Raises QuantizerFailed where onnxruntime cannot quantize the graph.
    """
    with quiet():
        quantize_dynamic(
            model,
            str(target),
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            use_external_data_format=is_large(model),
            extra_options={"EnableSubgraph": sum(1 for _ in graphs(model.graph)) > 1},
        )
    result = onnx.load(target, load_external_data=False)
    operators = Counter(node.op_type for node in nodes(result.graph))
    # A table of embeddings stays a Gather, on integers that a DequantizeLinear turns back.
    found = {name: operators[name] for name in (*QUANTIZED, "DequantizeLinear") if operators[name]}
    return {"quantizedOperators": found, **left_out(sizes_of_weights(result))}
