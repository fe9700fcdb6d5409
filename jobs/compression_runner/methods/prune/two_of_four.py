"""The 2:4 pattern by magnitude: of every four neighbours along a layer's inputs the two smallest become zero
(Mishra et al. 2021, arXiv:2104.08378)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from transformers.pytorch_utils import Conv1D

from compression_runner.calibration.layers import set_weights, weight_matrix
from compression_runner.methods.prune.calibrated import prunable
from compression_runner.methods.prune.patterns import lowest, require_fit

Weights = NDArray[np.floating]


def prune_graph(model: onnx.ModelProto) -> Mapping[str, Any]:
    """Prunes every layer of a graph; tables stay. Raises DoesNotFit naming a layer."""
    layers, left = prunable(model)
    for layer in layers:
        require_fit(layer.name, layer.inputs)
    done: dict[str, int] = {}
    for layer in layers:
        if layer.weight not in done:
            result = prune(weight_matrix(model, layer))
            set_weights(model, layer, result)
            done[layer.weight] = result.size
    return _details(done) | ({"left": left} if left else {})


def prune_modules(model: torch.nn.Module) -> Mapping[str, Any]:
    """Prunes every linear layer and convolution of a module; tables of embeddings, tied or not, stay.

    Raises DoesNotFit naming a layer.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    found = [(name, weight, turned) for name, weight, turned in _weights(model) if id(weight) not in tables]
    for name, weight, turned in found:
        require_fit(name, weight.shape[0] if turned else weight[0].numel())
    done: dict[str, int] = {}
    with torch.no_grad():
        for name, weight, turned in found:
            rows = (weight.T if turned else weight.flatten(1)).contiguous()
            result = torch.from_numpy(prune(rows.float().numpy())).to(weight.dtype)
            weight.copy_(result.T if turned else result.reshape(weight.shape))
            done[name] = weight.numel()
    return _details(done)


def prune(weights: Weights) -> Weights:
    """Weights (outputs, inputs) with the two smallest of every four at zero."""
    return np.where(lowest(np.abs(weights), 0.5, "2:4"), 0, weights).astype(weights.dtype)


def _weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """Name and weight of each layer, and whether its inputs come first."""
    convolutions = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    seen: set[int] = set()
    for name, module in model.named_modules():
        turned = isinstance(module, Conv1D)
        dense = isinstance(module, convolutions) and module.groups == 1
        if (turned or dense or isinstance(module, torch.nn.Linear)) and id(module.weight) not in seen:
            seen.add(id(module.weight))
            yield name, module.weight, turned


def _details(done: Mapping[str, int]) -> dict[str, Any]:
    weights = sum(done.values())
    return {"tensors": len(done), "weights": weights, "sparsity": 0.5}
