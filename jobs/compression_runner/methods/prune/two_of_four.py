"""The 2:4 pattern by magnitude: of every four neighbours along a layer's inputs the two smallest become zero
(Mishra et al. 2021, arXiv:2104.08378)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from compression_runner.calibration.layers import set_weights, weight_matrix
from compression_runner.methods.prune.calibrated import Prunable
from compression_runner.methods.prune.excluding import exclusion
from compression_runner.methods.prune.patterns import lowest, require_fit
from compressionjob.methods.prune import Prune

Weights = NDArray[np.floating]


def prune_graph(model: onnx.ModelProto, chosen: Prunable) -> Mapping[str, Any]:
    """Prunes these layers of a graph. Raises DoesNotFit naming a layer."""
    chosen.require_fit()
    done: dict[str, int] = {}
    for layer in chosen.layers:
        if layer.weight not in done:
            result = prune(weight_matrix(model, layer))
            set_weights(model, layer, result)
            done[layer.weight] = result.size
    return _details(done) | chosen.details()


def prune_modules(model: torch.nn.Module, parameters: Prune, field: str) -> Mapping[str, Any]:
    """Prunes every linear layer and convolution of a module; tables of embeddings, tied or not, and what the stage at
    `field` excludes, stay.

    Raises DoesNotFit naming a layer, and BadRecipe for an `exclude` that fits none.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    layers = [(name, weight) for name, weight in _weights(model) if id(weight) not in tables]
    excluded = exclusion(parameters, (weight_name(name) for name, _ in layers), field)
    found = [layer for layer in layers if not excluded(weight_name(layer[0]))]
    left = [name for name, _ in layers if excluded(weight_name(name))]
    for name, weight in found:
        require_fit(name, weight_name(name), weight[0].numel())
    done: dict[str, int] = {}
    with torch.no_grad():
        for name, weight in found:
            result = torch.from_numpy(prune(weight.flatten(1).float().numpy())).to(weight.dtype)
            weight.copy_(result.reshape(weight.shape))
            done[name] = weight.numel()
    return _details(done) | ({"left": left} if left else {})


def weight_name(layer: str) -> str:
    """What a checkpoint calls the weight of a layer."""
    return f"{layer}.weight" if layer else "weight"


def prune(weights: Weights) -> Weights:
    """Weights (outputs, inputs) with the two smallest of every four at zero."""
    return np.where(lowest(np.abs(weights), 0.5, "2:4"), 0, weights).astype(weights.dtype)


def _weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and weight of each layer."""
    convolutions = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    seen: set[int] = set()
    for name, module in model.named_modules():
        dense = isinstance(module, convolutions) and module.groups == 1
        if (dense or isinstance(module, torch.nn.Linear)) and id(module.weight) not in seen:
            seen.add(id(module.weight))
            yield name, module.weight


def _details(done: Mapping[str, int]) -> dict[str, Any]:
    weights = sum(done.values())
    return {"tensors": len(done), "weights": weights, "sparsity": 0.5}
