"""The weights of a checkpoint that are pruned: those of linear layers, convolutions and embeddings."""

import numpy as np
import torch
from numpy.typing import NDArray


def is_weight(name: str, tensor: torch.Tensor) -> bool:
    """Return whether a tensor of a checkpoint is pruned: norms and biases have one axis, buffers are not floats."""
    return tensor.is_floating_point() and tensor.dim() >= 2 and name.endswith(("weight", "weights"))


def to_array(tensor: torch.Tensor) -> NDArray[np.floating]:
    """Return a tensor as an array; bfloat16, which numpy lacks, as float32, which is exact."""
    array: NDArray[np.floating] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array
