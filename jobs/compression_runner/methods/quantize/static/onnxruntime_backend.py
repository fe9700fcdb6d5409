"""Quantize a float graph to INT8 with onnxruntime and calibration samples, and check its outputs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnx

from compression_runner.calibration.feeding import Feed
from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.graph_weights import sizes_of_weights, skipped_details
from compression_runner.formats.onnx_files import save
from compression_runner.methods.quantize.static import float8
from compression_runner.methods.quantize.static.accuracy import QuantizedParts, TooLossy, restore_floats
from compression_runner.methods.quantize.static.batch_split import split_batches
from compression_runner.methods.quantize.static.building import Blueprint, build
from compression_runner.methods.quantize.static.embedding import find_tables
from compression_runner.methods.quantize.static.fidelity import Fidelity, GraphOutputs, compare, run_graph
from compression_runner.methods.quantize.static.node_selection import mixed_range_nodes, select_nodes
from compression_runner.methods.quantize.static.preparing import OPSET, prepare
from compression_runner.methods.quantize.static.range_calibration import calibration_feeds, find_ranges
from compression_runner.methods.quantize.static.request import StaticRequest, require_fidelity
from compression_runner.methods.quantize.static.smoothing import smooth


def quantize(request: StaticRequest, into: Path) -> Mapping[str, Any]:
    """Write the INT8 model, and return details.

    Raises BadRecipe if nothing can be quantized, or the outputs differ too much from the float graph.
    """
    if request.parameters.backend == "openvino":
        from compression_runner.methods.quantize.static.nncf_backend import quantize as quantize_by_nncf

        return quantize_by_nncf(request, into)
    model = prepare(request.graph, request.field, float8.OPSET if request.parameters.dtype == "float8" else OPSET)
    feeds = calibration_feeds(model, request.samples)
    calibration, validation = split_batches(feeds, disjoint=request.parameters.accuracy_control is not None)
    expected = run_graph(model, validation)
    alpha = request.parameters.smooth_quant
    smoothed = smooth(model, calibration, alpha) if alpha is not None else (0, 0)
    blueprint = _blueprint(request, model, calibration)
    request.advance(0.3)

    def measure(parts: Collection[str]) -> Fidelity:
        return compare(expected, _outputs(blueprint, parts, validation, request), classifies=request.classifies)

    kept = _quantized_parts(request, blueprint, measure)
    require_fidelity(request, kept.fidelity)
    built = build(blueprint, kept.parts)
    save(built, into)
    details = _details(request, blueprint, kept, len(validation)) | skipped_details(sizes_of_weights(built))
    return {**details, "smoothedInputs": smoothed[0], "addedOperations": smoothed[1]} if alpha else details


def _blueprint(request: StaticRequest, model: onnx.ModelProto, feeds: Sequence[Feed]) -> Blueprint:
    selection = select_nodes(model)
    in_float8 = request.parameters.dtype == "float8"
    if in_float8:
        selection = selection.only_weighted()
    tables = tuple(find_tables(model))
    if not selection.weighted and not tables:
        problem = "the graph has no MatMul, Gemm, Conv or table of embeddings with constant float32 weights"
        raise BadRecipe("NothingToQuantize", request.field, "static", problem, "remove the stage")
    ranges = find_ranges(model, feeds, selection.calibrated_values(model), request.parameters.effective_calibration)
    mixed_range = () if in_float8 else mixed_range_nodes(model, selection, ranges)
    selection = selection.without(mixed_range)
    if not selection.weighted and not tables:
        problem = f"every layer reads branches of different range with one scale, joined by {mixed_range[0]}"
        raise BadRecipe(
            "NothingToQuantize", request.field, "static", problem, "use method dynamic, or remove the stage"
        )
    return Blueprint(
        model, selection, ranges, tables, request.parameters.granularity == "channel", in_float8, mixed_range
    )


def _outputs(
    blueprint: Blueprint, parts: Collection[str], feeds: Sequence[Feed], request: StaticRequest
) -> GraphOutputs:
    from compression_runner.inference.onnx_session import RUNTIME_ERRORS

    try:
        return run_graph(build(blueprint, parts), feeds)
    except RUNTIME_ERRORS as error:
        problem = f"the quantized graph does not run in onnxruntime: {cause(error)}"
        raise BadRecipe("NotLoadable", request.field, "static", problem, "remove the stage, or use cast") from error


def _quantized_parts(
    request: StaticRequest, blueprint: Blueprint, measure: Callable[[Collection[str]], Fidelity]
) -> QuantizedParts:
    control = request.parameters.accuracy_control
    if control is None:
        return QuantizedParts(blueprint.parts, {}, measure(blueprint.parts))
    with suppress(TooLossy):
        kept = restore_floats(
            blueprint.parts, measure, control.max_drop, lambda share: request.advance(0.3 + 0.6 * share)
        )
        if set(kept.parts) & {*blueprint.selection.weighted, *blueprint.tables}:
            return kept
    problem = f"no part of the model can be quantized with a loss of at most {control.max_drop:g}"
    field = f"{request.field}.accuracyControl.maxDrop"
    raise BadRecipe("TooLossy", field, control.max_drop, problem, "allow more, or use cast")


def _details(request: StaticRequest, blueprint: Blueprint, kept: QuantizedParts, batches: int) -> dict[str, Any]:
    operators: dict[str, int] = {}
    for name in kept.parts:
        operator = blueprint.selection.nodes.get(name, "Gather")
        operators[operator] = operators.get(operator, 0) + 1
    return {
        "quantizedOperators": dict(sorted(operators.items())),
        "floatAgain": {part: round(loss, 6) for part, loss in kept.restored.items()},
        **({"floatForRange": list(blueprint.mixed_range)} if blueprint.mixed_range else {}),
        "calibrationSamples": len(request.samples),
        "checkedBatches": batches,
        "calibrationCosine": round(kept.fidelity.cosine, 6) if kept.fidelity.compared else None,
        "calibrationAgreement": kept.fidelity.agreement,
    }
