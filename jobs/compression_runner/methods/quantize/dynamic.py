"""Dynamic INT8: integer weights, activations quantized while the model runs (onnxruntime's integer operators).

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import checker, shape_inference
from onnxruntime.quantization import QuantType, quantize_dynamic

from compression_runner.errors import LIBRARY_ERRORS, cause
from compression_runner.formats.graph_weights import left_out, sizes_of_weights
from compression_runner.formats.onnx_files import graphs, is_large, nodes
from compression_runner.inference.session import RUNTIME_ERRORS

OPSET: Final = 11
"""The first that has DynamicQuantizeLinear."""
FAILURES: Final[tuple[type[Exception], ...]] = (
    *LIBRARY_ERRORS,
    *RUNTIME_ERRORS,
    checker.ValidationError,
    shape_inference.InferenceError,
)
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


class QuantizerFailed(Exception):
    """A graph that onnxruntime cannot convert; the text is the cause in one line."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turn whatever a converter of onnxruntime raises for a graph into QuantizerFailed."""
    try:
        yield
    except FAILURES as error:
        raise QuantizerFailed(cause(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back onnxruntime's advice to pre-process, given to the root logger: exports are optimised already.

    Raises QuantizerFailed where onnxruntime cannot do what it is asked within.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        with refusing():
            yield
    finally:
        root.removeFilter(keep)
