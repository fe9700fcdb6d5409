"""Which arrays of a model are pruned, in either format: the weights of linear layers, convolutions and embeddings."""

import numpy as np
import torch
from numpy.typing import NDArray


def is_weight(name: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor of a checkpoint is pruned: norms and biases have one axis, buffers are no floats."""
    return tensor.is_floating_point() and tensor.dim() >= 2 and name.endswith(("weight", "weights"))


def to_array(tensor: torch.Tensor) -> NDArray[np.floating]:
    """A tensor's numbers; bfloat16, which numpy lacks, as float32, which holds it exactly."""
    array: NDArray[np.floating] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array
