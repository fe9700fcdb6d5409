"""The 2:4 pattern by magnitude: set the two smallest of every four neighbours along the inputs of a layer to zero
(Mishra et al. 2021, arXiv:2104.08378)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from compression_runner.calibration.layers import set_weights, weight_matrix
from compression_runner.formats.graph_weights import skipped_details
from compression_runner.methods.prune.calibrated import Prunable
from compression_runner.methods.prune.excluding import exclusion
from compression_runner.methods.prune.patterns import lowest_scores, require_fit
from compressionjob.methods.prune import Prune

Weights = NDArray[np.floating]


def prune_graph(model: onnx.ModelProto, selected: Prunable, field: str) -> Mapping[str, Any]:
    """Prune these layers of a graph. Raises BadRecipe with the layer if the pattern does not fit."""
    selected.require_fit(field)
    done: dict[str, int] = {}
    for layer in selected.layers:
        if layer.weight not in done:
            result = prune(weight_matrix(model, layer))
            set_weights(model, layer, result)
            done[layer.weight] = result.size
    return _details(done) | selected.details()


def prune_modules(model: torch.nn.Module, parameters: Prune, field: str) -> Mapping[str, Any]:
    """Prune every linear layer and convolution of a module, except embedding tables, tied or not, and excluded layers.

    Raises BadRecipe for a layer that the pattern does not fit, and for an `exclude` that matches none.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    layers = [(name, weight) for name, weight in _weights(model) if id(weight) not in tables]
    excluded = exclusion(parameters, (weight_name(name) for name, _ in layers), field)
    included = [layer for layer in layers if not excluded(weight_name(layer[0]))]
    left = {name: weight.nbytes for name, weight in layers if excluded(weight_name(name))}
    for name, weight in included:
        require_fit(name, weight_name(name), weight[0].numel(), field)
    done: dict[str, int] = {}
    with torch.no_grad():
        for name, weight in included:
            result = torch.from_numpy(prune(weight.flatten(1).float().numpy())).to(weight.dtype)
            weight.copy_(result.reshape(weight.shape))
            done[name] = weight.numel()
    return _details(done) | skipped_details(left)


def weight_name(layer: str) -> str:
    """Return the name of a layer's weight in a checkpoint."""
    return f"{layer}.weight" if layer else "weight"


def prune(weights: Weights) -> Weights:
    """Return weights (outputs, inputs) with the two smallest of every four at zero."""
    return np.where(lowest_scores(np.abs(weights), 0.5, "2:4"), 0, weights).astype(weights.dtype)


def _weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and weight of each layer."""
    convolutions = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    counted: set[int] = set()
    for name, module in model.named_modules():
        dense = isinstance(module, convolutions) and module.groups == 1
        if (dense or isinstance(module, torch.nn.Linear)) and id(module.weight) not in counted:
            counted.add(id(module.weight))
            yield name, module.weight


def _details(done: Mapping[str, int]) -> dict[str, Any]:
    weights = sum(done.values())
    return {"tensors": len(done), "weights": weights, "sparsity": 0.5}
