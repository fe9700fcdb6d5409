"""Type and shape of an input or output, from the header of an ONNX file."""

from typing import Final

import numpy as np
import onnx

from compression_runner.inference.predictor import TensorInfo

TENSOR: Final = "tensor"


def kind_of(kind: onnx.TypeProto) -> str:
    """Describe a type in words: "tensor", "sequence of maps", ..."""
    if kind.HasField("sequence_type"):
        return f"sequence of {kind_of(kind.sequence_type.elem_type)}s"
    name = str(kind.WhichOneof("value") or "")
    return {"": TENSOR, "tensor_type": TENSOR, "map_type": "map"}.get(
        name, name.removesuffix("_type").replace("_", " ")
    )


def tensor_info(value: onnx.ValueInfoProto) -> TensorInfo:
    """Return name, type and shape of a tensor; texts and values other than tensors have the type object.

    A tensor whose shape is not stated counts as one without dimensions.
    """
    kind = value.type.tensor_type
    dims = list(kind.shape.dim)
    is_tensor = kind.elem_type != onnx.TensorProto.UNDEFINED
    return TensorInfo(
        name=value.name,
        dtype=np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type) if is_tensor else np.object_),
        shape=tuple(dim.dim_value if dim.dim_value > 0 else None for dim in dims),
        symbols=tuple(dim.dim_param for dim in dims),
    )
