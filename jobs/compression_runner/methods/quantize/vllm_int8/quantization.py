"""Round the linear layers of a checkpoint to INT8, one scale for each output, after SmoothQuant if it is asked for.

SmoothQuant moves outliers of activations into weights (Xiao et al. 2022, arXiv:2211.10438). A checkpoint has no place
for another operation, so only layers are smoothed before which the model's parameters can absorb the scale.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.artifact import Artifact
from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import LayerGroup, find_layers, group_layers, weight_matrix
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.compressed_checkpoint import (
    WEIGHT,
    Int8Linear,
    LinearLayers,
    int8_config,
    linear_layers,
    require_stored,
    weights_of,
    write_checkpoint,
)
from compression_runner.formats.export import plain_graph
from compression_runner.formats.input_rounding import LARGEST
from compression_runner.methods.quantize.static.smoothing import input_maxima, migration
from compression_runner.methods.quantize.vllm.absorption import Absorption
from compression_runner.methods.quantize.vllm.kernels import no_experts, no_linear
from compression_runner.methods.quantize.weight_only.failures import calibration_errors
from compressionjob.methods.quantize import VllmInt8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Int8Request:
    """The inputs of the stage; `samples` is None without SmoothQuant."""

    artifact: Artifact
    parameters: VllmInt8
    samples: SampleSet | None
    field: str
    advance: Callable[[float], None]


@dataclass(frozen=True)
class Smoothing:
    """Groups of layers with the scale that divides their inputs, shape (inputs,), and what absorbs it."""

    absorption: Absorption
    scaled: Sequence[tuple[LayerGroup, Floats]]

    def scales(self) -> dict[str, Floats]:
        """Return the scale of each weight's inputs by the weight's name."""
        return {layer.weight: scale for group, scale in self.scaled for layer in group.layers}


def quantize(request: Int8Request, into: Path) -> Mapping[str, Any]:
    """Write the quantized checkpoint, and return details.

    Raises BadRecipe for a model without linear layers, a mixture of experts, or a failed calibration.
    """
    artifact = request.artifact
    layers = linear_layers(artifact.path, artifact.task)
    if layers.experts:
        raise no_experts(layers.experts[0], request.field)
    if not layers.shapes:
        raise no_linear(artifact.path.name, request.field)
    require_stored(artifact, layers)
    smoothing = None if request.samples is None else _smoothing(request, request.samples, layers)
    rounded, error = _rounded(request, layers, smoothing.scales() if smoothing else {})
    replaced = smoothing.absorption.apply(smoothing.scaled, rounded, lambda scales: scales) if smoothing else {}
    by_layer = {name.removesuffix(WEIGHT): layer for name, layer in rounded.items()}
    write_checkpoint(artifact, into, by_layer, replaced, int8_config(layers.ignored))
    details: dict[str, Any] = {
        "bits": 8,
        "layers": len(rounded),
        "weightError": round(error, 6),
        "left": {name + WEIGHT: "the output layer" for name in layers.ignored},
    }
    return details | ({"scaledInputs": len(smoothing.scaled)} if smoothing else {})


def round_by_output(weights: Floats) -> Int8Linear:
    """Return weights (outputs, inputs) as codes from -127 to 127, with one scale for each output."""
    scales = np.abs(weights).max(axis=1, keepdims=True) / LARGEST
    scales = np.where(scales == 0, 1, scales).astype(np.float32)
    return Int8Linear(np.rint(weights / scales).astype(np.int8), scales)


def _rounded(
    request: Int8Request, layers: LinearLayers, scales: Mapping[str, Floats]
) -> tuple[dict[str, Int8Linear], float]:
    """Return the layers by their weights' names, and the squared error relative to the squares of the weights."""
    rounded: dict[str, Int8Linear] = {}
    squared, energy = 0.0, 0.0
    for name, tensor in weights_of(request.artifact):
        if name.removesuffix(WEIGHT) not in layers.shapes or not name.endswith(WEIGHT):
            continue
        weights = tensor.float().numpy()
        weights = weights * scales[name] if name in scales else weights
        layer = round_by_output(weights)
        rounded[name] = layer
        squared += float(np.square(layer.codes * layer.scales - weights).sum())
        energy += float(np.square(weights).sum())
        request.advance(len(rounded) / len(layers.shapes))
    return rounded, squared / energy if energy else 0.0


def _smoothing(request: Int8Request, samples: SampleSet, layers: LinearLayers) -> Smoothing:
    alpha, field = request.parameters.smooth_quant, f"{request.field}.smoothQuant"
    graph, trained = plain_graph(request.artifact)
    names = {name + WEIGHT for name in layers.shapes} & trained
    chosen = tuple(layer for layer in find_layers(graph) if layer.weight in names)
    absorption = Absorption(graph, chosen, trained)
    groups = [group for group in group_layers(chosen) if absorption.fits(group)]
    if not groups:
        problem = "no parameters of the model can absorb the scale of a layer's inputs"
        raise BadRecipe("CalibrationFailed", field, alpha, problem, "remove smoothQuant")
    with calibration_errors(field, str(alpha), smooths=True):
        maxima = input_maxima(graph, groups, feeds(graph, samples))
    scaled = []
    for group in groups:
        greatest = np.max([np.abs(weight_matrix(graph, layer)).max(axis=0) for layer in group.layers], axis=0)
        scaled.append((group, power_of_two(migration(maxima[group.source], greatest, float(alpha or 0)))))
    return Smoothing(absorption, scaled)


def power_of_two(scale: Floats) -> Floats:
    """Return the nearest powers of two: parameters of 16 bits are divided by them without an error."""
    return np.exp2(np.rint(np.log2(scale))).astype(np.float32)
