"""Which arrays of a model are pruned, in either format: the weights of linear layers, convolutions and embeddings."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from compression_runner.formats.onnx_files import nodes

WEIGHT_OPERATORS: Final = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "Gather", "Einsum"})
FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


def is_weight(name: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor of a checkpoint is pruned: norms and biases have one axis, buffers are no floats."""
    return tensor.is_floating_point() and tensor.dim() >= 2 and name.endswith(("weight", "weights"))


def graph_weights(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The initializers that are weights of a layer, in the order of the file."""
    used = {
        name
        for node in nodes(model.graph)
        if node.op_type in WEIGHT_OPERATORS
        # The second input is the weight, except for a lookup, whose table is the first.
        for name in (node.input[:1] if node.op_type == "Gather" else node.input[:2])
    }
    for tensor in model.graph.initializer:
        if tensor.name in used and tensor.data_type in FLOATS and len(tensor.dims) >= 2:
            yield tensor


def to_array(tensor: torch.Tensor) -> NDArray[np.floating]:
    """A tensor's numbers; bfloat16, which numpy lacks, as float32, which holds it exactly."""
    array: NDArray[np.floating] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array
