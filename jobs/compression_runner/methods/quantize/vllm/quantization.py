"""Round the linear layers of a checkpoint to codes, and write them packed.

GPTQ and AWQ observe the inputs of layers in the graph of the model, as for ONNX; RTN needs no graph. Grids are
symmetric, and codes are chosen for the scales as they are stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from compression_runner.artifact import Artifact
from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import find_layers
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.compressed_checkpoint import (
    WEIGHT,
    LinearLayers,
    PackedLinear,
    linear_layers,
    pack_codes,
    quantization_config,
    require_stored,
    weights_of,
    write_checkpoint,
)
from compression_runner.formats.export import plain_graph
from compression_runner.formats.safetensors_files import stored_type
from compression_runner.methods.quantize.vllm.absorption import Absorption
from compression_runner.methods.quantize.vllm.kernels import no_experts, no_linear, require_fit
from compression_runner.methods.quantize.weight_only.failures import calibration_errors
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Scales, decode, round_nearest
from compression_runner.methods.quantize.weight_only.rounding import RoundedWeights, RoundingMethod, round_weights
from compression_runner.methods.quantize.weight_only.weight_selection import WeightSelection
from compressionjob.methods.quantize import Vllm
from compressionjob.methods.quantize.vllm import PER_CHANNEL

BITS: Final = {"int8": 8, "int4": 4}


@dataclass(frozen=True)
class CheckpointRequest:
    """The inputs of the stage; `samples` is None for RTN."""

    artifact: Artifact
    parameters: Vllm
    samples: SampleSet | None
    field: str
    advance: Callable[[float], None]


def quantize(request: CheckpointRequest, into: Path) -> Mapping[str, Any]:
    """Write the quantized checkpoint, and return details.

    Raises BadRecipe if a layer does not fit vLLM's kernels, or the calibration fails.
    """
    artifact, parameters = request.artifact, request.parameters
    layers = linear_layers(artifact.path, artifact.task)
    if layers.experts:
        raise no_experts(layers.experts[0], request.field)
    if not layers.shapes:
        raise no_linear(artifact.path.name, request.field)
    require_fit(layers.shapes, parameters, request.field)
    require_stored(artifact, layers)
    replaced: Mapping[str, NDArray[np.floating]] = {}
    if request.samples is None:
        rounded = _nearest(request, layers)
    else:
        rounded, replaced = _calibrated(request, request.samples, layers)
    packed = {name.removesuffix(WEIGHT): layer for name, layer in rounded.packed.items()}
    config = quantization_config(BITS[parameters.dtype], parameters.effective_group_size, layers.ignored)
    write_checkpoint(artifact, into, packed, replaced, config)
    return _details(request, layers, rounded)


def _nearest(request: CheckpointRequest, layers: LinearLayers) -> RoundedWeights[PackedLinear]:
    rounded, layouts = RoundedWeights(_packer(request)), _layouts(request)
    for name, tensor in weights_of(request.artifact):
        if name.removesuffix(WEIGHT) not in layers.shapes or not name.endswith(WEIGHT):
            continue
        weights = tensor.to(torch.float32).numpy()
        codes, grid = round_nearest(weights, layouts(BITS[request.parameters.dtype], weights.shape[1]))
        rounded.add(name, codes, grid)
        rounded.add_error(weights, decode(codes, grid), None)
        request.advance(len(rounded.packed) / len(layers.shapes))
    return rounded


def _calibrated(
    request: CheckpointRequest, samples: SampleSet, layers: LinearLayers
) -> tuple[RoundedWeights[PackedLinear], Mapping[str, NDArray[np.floating]]]:
    """Return the rounded layers, and the parameters that absorb AWQ's scales."""
    parameters = request.parameters
    graph, trained = plain_graph(request.artifact)
    names = {name + WEIGHT for name in layers.shapes} & trained
    chosen = tuple(layer for layer in find_layers(graph) if layer.weight in names)
    absent = sorted({name + WEIGHT for name in layers.shapes} - {layer.weight for layer in chosen})
    if absent:
        problem = f"the graph of the model does not multiply by {', '.join(absent[:3])}, so its inputs are unknown"
        raise BadRecipe("CalibrationFailed", request.field, parameters.dtype, problem, "use algorithm rtn")
    absorption = Absorption(graph, chosen, trained)
    bits = dict.fromkeys(names, BITS[parameters.dtype])
    method = RoundingMethod(parameters.effective_algorithm, bits, _layouts(request), absorption.fits)
    with calibration_errors(request.field, parameters.dtype):
        selection, batches = WeightSelection(chosen, {}), feeds(graph, samples)
        rounded = round_weights(graph, selection, method, batches, _packer(request), request.advance)
    return rounded, absorption.apply(rounded.scaled, rounded.packed, _stored(request))


def _stored(request: CheckpointRequest) -> Callable[[Scales], Scales]:
    """Return a function that rounds scales to the type of the checkpoint; of a float32 one, to bfloat16.

    vLLM computes a float32 model in 16 bits; both of these types have nearly all numbers of bfloat16.
    """
    kind = stored_type(request.artifact.path)
    short = torch.bfloat16 if kind == torch.float32 else kind
    return lambda scales: torch.from_numpy(scales).to(short).to(torch.float32).numpy()


def _layouts(request: CheckpointRequest) -> Callable[[int, int], Layout]:
    group, rounded = request.parameters.effective_group_size, _stored(request)

    def stored(scales: Scales) -> Scales:
        """Replace scales that underflow to 0 by 1, for which all codes of the group become zero."""
        shortened = rounded(scales)
        return np.where(shortened == 0, np.float32(1), shortened)

    return lambda bits, inputs: Layout(bits, inputs if group == PER_CHANNEL else group, symmetric=True, stored=stored)


def _packer(request: CheckpointRequest) -> Callable[[Codes, Grid], PackedLinear]:
    bits = BITS[request.parameters.dtype]
    return lambda codes, grid: PackedLinear(pack_codes(codes, bits), grid.scales, (codes.shape[0], codes.shape[1]))


def _details(
    request: CheckpointRequest, layers: LinearLayers, rounded: RoundedWeights[PackedLinear]
) -> Mapping[str, Any]:
    parameters = request.parameters
    details: dict[str, Any] = {
        "algorithm": parameters.effective_algorithm,
        "bits": BITS[parameters.dtype],
        "layers": len(rounded.packed),
        "outputError" if rounded.rows else "weightError": round(rounded.error, 6),
        "left": {name + WEIGHT: "the output layer" for name in layers.ignored},
    }
    details |= rounded.calibration
    if parameters.effective_algorithm == "awq":
        details["scaledInputs"] = len(rounded.scaled)
    return details
