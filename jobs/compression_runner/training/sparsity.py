"""Keep the zeros of pruned weights at zero during training."""

from collections.abc import Callable
from typing import Final

import torch

LEAST_SPARSITY: Final = 0.01
"""A weight with a smaller fraction of zeros counts as not pruned."""


def keep_zeros(module: torch.nn.Module) -> Callable[[], None]:
    """Return a callback that sets the zeros of pruned weights to zero again, for after each step."""
    masks = [
        (parameter, (parameter.detach() != 0).to(parameter.dtype))
        for parameter in module.parameters()
        if parameter.dim() >= 2 and float((parameter == 0).float().mean()) >= LEAST_SPARSITY
    ]

    def apply() -> None:
        with torch.no_grad():
            for parameter, mask in masks:
                parameter.mul_(mask)

    return apply


def sparsity(module: torch.nn.Module) -> float:
    """Return the fraction of zeros among the weights of two or more axes, in [0, 1]."""
    weights = [parameter for parameter in module.parameters() if parameter.dim() >= 2]
    zeros = sum(int((parameter == 0).sum()) for parameter in weights)
    return zeros / max(1, sum(parameter.numel() for parameter in weights))
