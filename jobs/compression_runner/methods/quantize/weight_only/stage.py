"""From a float graph to one whose weights have few bits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import onnx

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.inverse import NotInvertible
from compression_runner.calibration.scaling import divide_inputs
from compression_runner.calibration.walking import UnsupportedGraph
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.graph_weights import sizes
from compression_runner.inference.session import RUNTIME_ERRORS
from compression_runner.methods.quantize.weight_only.choosing import Choice, choose
from compression_runner.methods.quantize.weight_only.grid import Layout
from compression_runner.methods.quantize.weight_only.mixing import OutOfReach, mix
from compression_runner.methods.quantize.weight_only.rounding import Method, Rounded, layout, round_weights
from compression_runner.methods.quantize.weight_only.writing import write
from compressionjob.methods.quantize import WeightOnly

BITS: Final = {"int8": 8, "int4": 4, "int3": 3, "int2": 2}
FAILURES: Final[tuple[type[Exception], ...]] = (UnsupportedGraph, *RUNTIME_ERRORS)
TOLD: Final = 20
"""Weights that stay floats are told by name up to so many."""


@dataclass(frozen=True)
class Work:
    """What the stage is about; `samples` where the algorithm looks at activations."""

    model: onnx.ModelProto
    parameters: WeightOnly
    samples: SampleSet | None
    field: str
    advance: Callable[[float], None]


def quantize(work: Work) -> Mapping[str, Any]:
    """Changes the model to weights of few bits, and tells what was done.

    Raises BadRecipe where there is nothing to quantize, or the graph cannot be calibrated.
    """
    parameters = work.parameters
    choice = choose(work.model, embeddings=parameters.effective_embeddings)
    if not choice.layers and not choice.tables:
        problem = "the graph has no MatMul, Gemm or look-up with constant float weights that may be quantized"
        if choice.left:
            name, reason = next(iter(choice.left.items()))
            problem += f"; of {len(choice.left)} weights that stay, {name}: {reason}"
        raise BadRecipe("NothingToQuantize", work.field, parameters.dtype, problem, "leave the stage out")
    try:
        bits = _bits(work, choice)
        choice = choice.only(bits)
        method = Method(
            parameters.effective_algorithm, bits, parameters.effective_group_size, parameters.effective_symmetric
        )
        batches = feeds(work.model, work.samples) if work.samples and method.algorithm != "rtn" else []
        rounded = round_weights(work.model, choice, method, batches, work.advance)
    except OutOfReach as error:
        remedy = "ask for a larger budget, or larger groups"
        raise BadRecipe("BudgetOutOfReach", f"{work.field}.budget", parameters.budget, str(error), remedy) from error
    except NotInvertible as error:
        remedy = "use algorithm rtn or awq, or other calibration data"
        raise BadRecipe("CalibrationFailed", work.field, parameters.dtype, str(error), remedy) from error
    except FAILURES as error:
        problem = f"the graph cannot be run in parts on calibration data: {cause(error)}"
        raise BadRecipe(
            "CalibrationFailed", work.field, parameters.dtype, problem, "use algorithm rtn, and one dtype"
        ) from error
    left_bytes = sum(sizes(work.model, choice.left).values())
    divisions = divide_inputs(work.model, rounded.scaled)
    write(work.model, choice, rounded.packed, divisions)
    return _details(method, choice, rounded, len(divisions)) | ({"leftBytes": left_bytes} if choice.left else {})


def _bits(work: Work, choice: Choice) -> Mapping[str, int]:
    """What each initializer gets: all the same, or what the budget gives it."""
    parameters, names = work.parameters, choice.names
    if parameters.budget is None:
        return dict.fromkeys(names, BITS[parameters.dtype])
    if work.samples is None:
        raise ValueError("mixed precision without calibration samples")
    group, symmetric = parameters.effective_group_size, parameters.effective_symmetric

    def layouts(bits: int, inputs: int) -> Layout:
        return layout(bits, inputs, group, symmetric=symmetric)

    return mix(work.model, choice, layouts, work.samples, parameters.budget, work.advance)


def _details(method: Method, choice: Choice, rounded: Rounded, divisions: int) -> dict[str, Any]:
    asked = sorted(set(method.bits.values()))
    details: dict[str, Any] = {
        "algorithm": method.algorithm,
        "bits": asked[0] if len(asked) == 1 else {str(bits): [*method.bits.values()].count(bits) for bits in asked},
        "layers": len(choice.layers),
        "tables": len(choice.tables),
        "outputError" if rounded.rows else "weightError": round(rounded.error, 6),
    }
    stored = max(packed.bits for packed in rounded.packed.values())
    if len(asked) == 1 and stored != asked[0]:
        # onnxruntime has no kernel for them: packing gets the unused bits back.
        details["storedBits"] = stored
    if rounded.rows:
        details["calibrationRows"] = rounded.rows
    if method.algorithm == "awq":
        details |= {"scaledInputs": len(rounded.scaled), "addedOperations": divisions}
    if choice.left:
        names = sorted(choice.left)[:TOLD]
        details["left"] = {name: choice.left[name] for name in names}
    return details
