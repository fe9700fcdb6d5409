"""Half precision: weights and activations in float16, inputs and outputs as they were."""

import warnings
from collections.abc import Mapping
from typing import Any

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16


def to_float16(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, Any]]:
    """The model in float16, and how many weights were too large or too small for it.

    Raises ValueError, TypeError, KeyError or RuntimeError from onnxruntime where it cannot convert the graph.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        converted = convert_float_to_float16(model, keep_io_types=True)
    truncated = sum("truncated" in str(warning.message) for warning in caught)
    half = sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in converted.graph.initializer)
    return converted, {"float16Tensors": half, "tensorsWithTruncatedValues": truncated}
