"""Which layers learn on which grid, and how they are taken off it again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.nn.utils import parametrize

from compression_runner.methods.quantize.qat.quantizers import Levels, Signs, Steps, quantizer

KINDS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)


@dataclass(frozen=True)
class OnGrid:
    """A trained weight: levels of shape (outputs, ...), one step for each output, and what the levels are."""

    levels: torch.Tensor
    steps: torch.Tensor
    kind: Levels


def without_answers(model: nn.Module, answers: torch.Tensor) -> set[str]:
    """Return the layers that no answer goes through, such as the pooler of a model of embeddings.

    `answers` are those of the model, with their history.
    """
    # Of frozen weights nothing can be said: they take part.
    every = {name: module for name, module in model.named_modules() if isinstance(module, KINDS)}
    layers = {name: module for name, module in every.items() if module.weight.requires_grad}
    weights = [module.weight for module in layers.values()]
    gradients = torch.autograd.grad(answers.sum(), weights, allow_unused=True)
    return {name for name, gradient in zip(layers, gradients, strict=True) if gradient is None}


def put_on_grid(model: nn.Module, levels: Levels, left: Collection[str] = ()) -> dict[str, Levels]:
    """Parametrizes the weight of every linear layer, convolution and embedding but those of `left`.

    Returns which grid each is on.

    The first and the last layer stay at 8 bits where fewer are asked for: they hold few weights and cost most, as the
    sources of these methods do it. Embeddings with few bits are kept at 8 too.
    """
    layers = [
        (name, module) for name, module in model.named_modules() if isinstance(module, KINDS) and name not in left
    ]
    inner = [name for name, module in layers if not isinstance(module, nn.Embedding)]
    spared = {inner[0], inner[-1]} if len(inner) > 2 else set()
    chosen: dict[str, Levels] = {}
    for name, module in layers:
        kind: Levels = "int8" if name in spared or isinstance(module, nn.Embedding) else levels
        parametrize.register_parametrization(module, "weight", quantizer(module.weight, kind))
        chosen[name] = kind
    return chosen


def take_off(model: nn.Module, chosen: Mapping[str, Levels]) -> dict[str, OnGrid]:
    """Bakes the quantized weights into their layers, and returns them as levels and steps."""
    found: dict[str, OnGrid] = {}
    for name, kind in chosen.items():
        module: Any = model.get_submodule(name)
        listed = module.parametrizations.weight
        grid = listed[0]
        assert isinstance(grid, Steps | Signs)
        levels, steps = grid.whole(listed.original)
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
        shape = (-1, *(1 for _ in levels.shape[1:]))
        with torch.no_grad():
            module.weight.copy_(levels.to(torch.float32) * steps.reshape(shape))
        found[name] = OnGrid(levels.cpu(), steps.cpu(), kind)
    return found
