"""Linear layers in one form: GPT-2 and related models have Conv1D layers, with weights (inputs, outputs).

A method that looks for linear layers converts a model to nn.Linear first, with weights (outputs, inputs). Saving
converts the layers back, so that a checkpoint has the layout that its library expects.
"""

from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D


class LinearOfConv1D(nn.Linear):
    """A linear layer that is stored as a Conv1D."""


def as_linear(model: nn.Module) -> None:
    """Replace every Conv1D of a model, in place, by an equivalent linear layer."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Conv1D):
            linear = LinearOfConv1D(module.nx, module.nf, device="meta")
            linear.weight = _transposed(module.weight)
            linear.bias = module.bias
            model.set_submodule(name, linear.train(module.training))


def as_stored(model: nn.Module) -> None:
    """Convert the layers that `as_linear` replaced back to Conv1D, in place; their size may have changed."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LinearOfConv1D):
            with torch.device("meta"):  # random weights would advance the random generator
                stored: Any = Conv1D(module.out_features, module.in_features)  # type: ignore[no-untyped-call]
            stored.weight = _transposed(module.weight)
            stored.bias = module.bias
            model.set_submodule(name, stored.train(module.training))


def features(layer: nn.Module) -> tuple[int, int] | None:
    """Return the inputs and outputs of a linear layer in either form; None for another module."""
    if isinstance(layer, Conv1D):
        return int(layer.nx), int(layer.nf)
    return (layer.in_features, layer.out_features) if isinstance(layer, nn.Linear) else None


def _transposed(weight: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().T.contiguous(), requires_grad=weight.requires_grad)
