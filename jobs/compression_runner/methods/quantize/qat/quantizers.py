"""Quantizers of weights with few levels, one scale per output channel, and straight-through gradients.

Two bits and more: learned step size, Esser et al. 2019 (LSQ, arXiv:1902.08153). Ternary: the same with the levels -1, 0
and 1, initialized at the threshold of Li and Liu 2016 (arXiv:1605.04711). Binary: the sign, scaled by the mean
magnitude, Rastegari et al. 2016 (XNOR-Net, arXiv:1603.05279).
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
"""Smallest and largest level; binary has no 0."""


class LearnedStep(nn.Module):
    """Quantize weights (outputs, ...) to integer multiples of a learned step per output channel."""

    def __init__(self, weight: torch.Tensor, levels: Levels) -> None:
        super().__init__()
        self.low, self.high = BOUNDS[levels]
        axes = tuple(range(1, weight.dim()))
        magnitude = weight.detach().abs().mean(axes, keepdim=True)
        initial = 2.0 * magnitude / math.sqrt(max(1, self.high)) if levels != "ternary" else 1.4 * magnitude
        self.step = nn.Parameter(initial.clamp(min=1e-8))
        # LSQ's gradient scale of the step: by the number of weights that share the step, and the levels.
        self.gradient_scale = 1.0 / math.sqrt(weight[0].numel() * max(1, self.high))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the quantized weights."""
        step = _scaled_gradient(self.step.abs().clamp(min=1e-8), self.gradient_scale)
        return _rounded((weight / step).clamp(self.low, self.high)) * step

    def levels_and_scales(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the levels (int8, the weight's shape) and the steps (outputs,)."""
        step = self.step.detach().abs().clamp(min=1e-8)
        level = (weight.detach() / step).clamp(self.low, self.high).round()
        return level.to(torch.int8), step.flatten()


class SignQuantizer(nn.Module):
    """Quantize weights (outputs, ...) to their signs times the mean magnitude of the output channel."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weights on the two levels."""
        scale = weight.abs().mean(tuple(range(1, weight.dim())), keepdim=True)
        # The gradient passes only for weights within the range of the levels.
        clipped = (weight / scale.detach().clamp(min=1e-8)).clamp(-1.0, 1.0)
        signs = torch.where(weight >= 0, 1.0, -1.0)
        return (clipped + (signs - clipped).detach()) * scale

    def levels_and_scales(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the levels -1 and 1 (int8, the weight's shape) and the scales (outputs,)."""
        weight = weight.detach()
        scale = weight.abs().mean(tuple(range(1, weight.dim())))
        return torch.where(weight >= 0, 1, -1).to(torch.int8), scale


def quantizer(weight: torch.Tensor, levels: Levels) -> LearnedStep | SignQuantizer:
    """Return the quantizer of a weight."""
    return SignQuantizer() if levels == "binary" else LearnedStep(weight, levels)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integers, with a straight-through gradient."""
    return values + (values.round() - values).detach()


def _scaled_gradient(values: torch.Tensor, scale: float) -> torch.Tensor:
    """Return the same values with a scaled gradient."""
    return values * scale + (values - values * scale).detach()
