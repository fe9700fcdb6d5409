"""Weights on a grid of few levels, one scale for each output channel, through which gradients pass.

Two bits and more: learned step size, Esser et al. 2019 (LSQ, arXiv:1902.08153). Ternary: the same with the levels -1, 0
and 1, begun at the threshold of Li and Liu 2016 (arXiv:1605.04711). Binary: the sign, scaled by the mean magnitude,
Rastegari et al. 2016 (XNOR-Net, arXiv:1603.05279).
"""

import math
from typing import Final, Literal

import torch
from torch import nn

Levels = Literal["int8", "int4", "int2", "ternary", "binary"]
BOUNDS: Final[dict[Levels, tuple[int, int]]] = {
    "int8": (-128, 127),
    "int4": (-8, 7),
    "int2": (-2, 1),
    "ternary": (-1, 1),
    "binary": (-1, 1),
}
"""Least and greatest level; binary has no 0."""


class Steps(nn.Module):
    """Weights (outputs, ...) as whole multiples of a step that is learned for each output channel."""

    def __init__(self, weight: torch.Tensor, levels: Levels) -> None:
        super().__init__()
        self.low, self.high = BOUNDS[levels]
        axes = tuple(range(1, weight.dim()))
        magnitude = weight.detach().abs().mean(axes, keepdim=True)
        begin = 2.0 * magnitude / math.sqrt(max(1, self.high)) if levels != "ternary" else 1.4 * magnitude
        self.step = nn.Parameter(begin.clamp(min=1e-8))
        # LSQ's scale of the step's gradient: by the number of weights that share it, and the levels.
        self.gradient_scale = 1.0 / math.sqrt(weight[0].numel() * max(1, self.high))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights on the grid."""
        step = _scaled_gradient(self.step.abs().clamp(min=1e-8), self.gradient_scale)
        return _rounded((weight / step).clamp(self.low, self.high)) * step

    def whole(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The levels (int8, the weight's shape) and the steps (outputs,)."""
        step = self.step.detach().abs().clamp(min=1e-8)
        level = (weight.detach() / step).clamp(self.low, self.high).round()
        return level.to(torch.int8), step.flatten()


class Signs(nn.Module):
    """Weights (outputs, ...) as their signs times the mean magnitude of their output channel."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights on the two levels."""
        scale = weight.abs().mean(tuple(range(1, weight.dim())), keepdim=True)
        # The gradient passes where the weight is not far beyond its level already.
        clipped = (weight / scale.detach().clamp(min=1e-8)).clamp(-1.0, 1.0)
        signs = torch.where(weight >= 0, 1.0, -1.0)
        return (clipped + (signs - clipped).detach()) * scale

    def whole(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The levels -1 and 1 (int8, the weight's shape) and the scales (outputs,)."""
        weight = weight.detach()
        scale = weight.abs().mean(tuple(range(1, weight.dim())))
        return torch.where(weight >= 0, 1, -1).to(torch.int8), scale


def quantizer(weight: torch.Tensor, levels: Levels) -> Steps | Signs:
    """What puts a weight on its grid."""
    return Signs() if levels == "binary" else Steps(weight, levels)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """The nearest whole numbers; the gradient passes as if nothing had been done."""
    return values + (values.round() - values).detach()


def _scaled_gradient(values: torch.Tensor, scale: float) -> torch.Tensor:
    """The same values, whose gradient is scaled."""
    return values * scale + (values - values * scale).detach()
