"""Quantize the weights of a float graph to few bits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import onnx

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.scaling import divide_inputs
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.graph_weights import sizes
from compression_runner.methods.quantize.weight_only.failures import calibration_errors
from compression_runner.methods.quantize.weight_only.graph_writing import write
from compression_runner.methods.quantize.weight_only.mixing import BudgetOutOfReach, Layouts, mix
from compression_runner.methods.quantize.weight_only.packing import PackedWeight, pack
from compression_runner.methods.quantize.weight_only.rounding import (
    RoundedWeights,
    RoundingMethod,
    layout,
    round_weights,
)
from compression_runner.methods.quantize.weight_only.weight_selection import WeightSelection, select_weights
from compressionjob.methods.quantize import WeightOnly

BITS: Final = {"int8": 8, "int4": 4, "int3": 3, "int2": 2}
MAX_LISTED: Final = 20
"""Maximum number of weights that stay floats listed by name."""


@dataclass(frozen=True)
class WeightOnlyRequest:
    """The inputs of the stage; `samples` is None for algorithms without calibration."""

    model: onnx.ModelProto
    parameters: WeightOnly
    samples: SampleSet | None
    field: str
    advance: Callable[[float], None]


def quantize(request: WeightOnlyRequest) -> Mapping[str, Any]:
    """Quantize the weights of the model in place, and return details.

    Raises BadRecipe if there is nothing to quantize, or the calibration fails.
    """
    parameters = request.parameters
    selection = select_weights(request.model, embeddings=parameters.effective_embeddings)
    if not selection.layers and not selection.tables:
        problem = "the graph has no MatMul, Gemm or look-up with constant float weights that may be quantized"
        if selection.left:
            name, reason = next(iter(selection.left.items()))
            problem += f"; {len(selection.left)} weights stay floats, for example {name}: {reason}"
        raise BadRecipe("NothingToQuantize", request.field, parameters.dtype, problem, "remove the stage")
    try:
        with calibration_errors(request.field, parameters.dtype):
            bits = _bits(request, selection)
            selection = selection.only(bits)
            method = RoundingMethod(parameters.effective_algorithm, bits, _layouts(parameters))
            batches = feeds(request.model, request.samples) if request.samples and method.algorithm != "rtn" else []
            rounded = round_weights(request.model, selection, method, batches, pack, request.advance)
    except BudgetOutOfReach as error:
        remedy = "set a larger budget, or larger groups"
        raise BadRecipe(
            "BudgetOutOfReach", f"{request.field}.budget", parameters.budget, error.problem, remedy
        ) from error
    left_bytes = sum(sizes(request.model, selection.left).values())
    divisions = divide_inputs(request.model, rounded.scaled)
    write(request.model, selection, rounded.packed, divisions)
    return _details(method, selection, rounded, len(divisions)) | ({"leftBytes": left_bytes} if selection.left else {})


def _bits(request: WeightOnlyRequest, selection: WeightSelection) -> Mapping[str, int]:
    """Return initializer -> bits: equal for all, or allocated by the budget."""
    parameters, names = request.parameters, selection.names
    if parameters.budget is None:
        return dict.fromkeys(names, BITS[parameters.dtype])
    if request.samples is None:
        raise ValueError("mixed precision needs calibration samples")
    return mix(request.model, selection, _layouts(parameters), request.samples, parameters.budget, request.advance)


def _layouts(parameters: WeightOnly) -> Layouts:
    group, symmetric = parameters.effective_group_size, parameters.effective_symmetric
    return lambda bits, inputs: layout(bits, inputs, group, symmetric=symmetric)


def _details(
    method: RoundingMethod, selection: WeightSelection, rounded: RoundedWeights[PackedWeight], divisions: int
) -> dict[str, Any]:
    requested = sorted(set(method.bits.values()))
    details: dict[str, Any] = {
        "algorithm": method.algorithm,
        "bits": requested[0]
        if len(requested) == 1
        else {str(bits): [*method.bits.values()].count(bits) for bits in requested},
        "layers": len(selection.layers),
        "tables": len(selection.tables),
        "outputError" if rounded.rows else "weightError": round(rounded.error, 6),
    }
    stored = max(packed.bits for packed in rounded.packed.values())
    if len(requested) == 1 and stored != requested[0]:
        # onnxruntime has no kernel for these bits; the pack stage removes the unused bits.
        details["storedBits"] = stored
    details |= rounded.calibration
    if method.algorithm == "awq":
        details |= {"scaledInputs": len(rounded.scaled), "addedOperations": divisions}
    if selection.left:
        names = sorted(selection.left)[:MAX_LISTED]
        details["left"] = {name: selection.left[name] for name in names}
    return details
