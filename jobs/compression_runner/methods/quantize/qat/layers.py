"""Add quantizers to the layers of a model for training, and remove them afterwards."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.nn.utils import parametrize

from compression_runner.methods.quantize.qat.quantizers import LearnedStep, Levels, SignQuantizer, quantizer

KINDS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)


@dataclass(frozen=True)
class QuantizedWeight:
    """A trained weight: levels of shape (outputs, ...), one step per output, and the kind of levels."""

    levels: torch.Tensor
    steps: torch.Tensor
    kind: Levels


def unused_layers(model: nn.Module, outputs: torch.Tensor) -> set[str]:
    """Return the layers that the outputs do not depend on, such as the pooler of an embedding model.

    `outputs` are outputs of the model with their autograd graph.
    """
    # Frozen weights have no gradients, so they count as used.
    every = {name: module for name, module in model.named_modules() if isinstance(module, KINDS)}
    layers = {name: module for name, module in every.items() if module.weight.requires_grad}
    weights = [module.weight for module in layers.values()]
    gradients = torch.autograd.grad(outputs.sum(), weights, allow_unused=True)
    return {name for name, gradient in zip(layers, gradients, strict=True) if gradient is None}


def add_quantizers(model: nn.Module, levels: Levels, skipped: Collection[str] = ()) -> dict[str, Levels]:
    """Add a quantizer to the weight of every linear layer, convolution and embedding except those in `skipped`.

    Return the kind of levels of each.

    The first and the last layer get at least 8 bits, as in the papers of these methods: they have few weights, and
    cost the most accuracy. Embeddings get 8 bits too.
    """
    layers = [
        (name, module) for name, module in model.named_modules() if isinstance(module, KINDS) and name not in skipped
    ]
    inner = [name for name, module in layers if not isinstance(module, nn.Embedding)]
    first_and_last = {inner[0], inner[-1]} if len(inner) > 2 else set()
    # Layers that share a weight (embedding and head of T5) share a quantizer; the first layer decides its kind.
    quantizers: dict[torch.Tensor, tuple[Levels, nn.Module]] = {}
    kinds: dict[str, Levels] = {}
    for name, module in layers:
        kind: Levels = "int8" if name in first_and_last or isinstance(module, nn.Embedding) else levels
        weight = module.weight
        kinds[name], shared = quantizers.setdefault(weight, (kind, quantizer(weight, kind)))
        parametrize.register_parametrization(module, "weight", shared)
    return kinds


def remove_quantizers(model: nn.Module, kinds: Mapping[str, Levels]) -> dict[str, QuantizedWeight]:
    """Replace each parametrized weight by its quantized values, and return them as levels and steps.

    Layers that share a weight share one QuantizedWeight.
    """
    weights: dict[str, QuantizedWeight] = {}
    by_original: dict[torch.Tensor, QuantizedWeight] = {}
    for name, kind in kinds.items():
        module: Any = model.get_submodule(name)
        listed = module.parametrizations.weight
        grid, original = listed[0], listed.original
        assert isinstance(grid, LearnedStep | SignQuantizer)
        if original not in by_original:
            levels, steps = grid.levels_and_scales(original)
            by_original[original] = QuantizedWeight(levels.cpu(), steps.cpu(), kind)
        weight = weights[name] = by_original[original]
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
        shape = (-1, *(1 for _ in weight.levels.shape[1:]))
        with torch.no_grad():
            module.weight.copy_(weight.levels.to(torch.float32) * weight.steps.reshape(shape))
    return weights
