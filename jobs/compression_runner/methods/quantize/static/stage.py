"""From a float graph and calibration samples to an INT8 graph that is known to answer like it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnx

from compression_runner.calibration.feeding import Feed
from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.graph_weights import left_out, sizes_of_weights
from compression_runner.formats.onnx_files import save
from compression_runner.methods.quantize.static import float8
from compression_runner.methods.quantize.static.accuracy import Kept, TooLossy, give_back
from compression_runner.methods.quantize.static.building import Blueprint, build
from compression_runner.methods.quantize.static.dividing import divide
from compression_runner.methods.quantize.static.embedding import find_tables
from compression_runner.methods.quantize.static.fidelity import Answers, Fidelity, answer, compare
from compression_runner.methods.quantize.static.observing import calibration_feeds, find_ranges
from compression_runner.methods.quantize.static.preparing import OPSET, prepare
from compression_runner.methods.quantize.static.recipe import choose, unlike_branches
from compression_runner.methods.quantize.static.smoothing import smooth
from compression_runner.methods.quantize.static.work import Work, require_whole


def quantize(work: Work, into: Path) -> Mapping[str, Any]:
    """Writes the INT8 model, and tells what was done.

    Raises BadRecipe where nothing can be quantized, or the result answers otherwise than the float graph.
    """
    if work.parameters.backend == "openvino":
        from compression_runner.methods.quantize.static.nncf_backend import quantize as quantize_by_nncf

        return quantize_by_nncf(work, into)
    model = prepare(work.graph, work.field, float8.OPSET if work.parameters.dtype == "float8" else OPSET)
    feeds = calibration_feeds(model, work.samples)
    observed, checked = divide(feeds, apart=work.parameters.accuracy_control is not None)
    expected = answer(model, checked)
    alpha = work.parameters.smooth_quant
    smoothed = smooth(model, observed, alpha) if alpha is not None else (0, 0)
    blueprint = _blueprint(work, model, observed)
    work.advance(0.3)

    def measure(parts: Collection[str]) -> Fidelity:
        return compare(expected, _answers(blueprint, parts, checked, work), classifies=work.classifies)

    kept = _kept(work, blueprint, measure)
    require_whole(work, kept.fidelity)
    built = build(blueprint, kept.parts)
    save(built, into)
    details = _details(work, blueprint, kept, len(checked)) | left_out(sizes_of_weights(built))
    return {**details, "smoothedInputs": smoothed[0], "addedOperations": smoothed[1]} if alpha else details


def _blueprint(work: Work, model: onnx.ModelProto, feeds: Sequence[Feed]) -> Blueprint:
    recipe = choose(model)
    in_float8 = work.parameters.dtype == "float8"
    if in_float8:
        recipe = recipe.only_weighted()
    tables = tuple(find_tables(model))
    if not recipe.weighted and not tables:
        problem = "the graph has no MatMul, Gemm, Conv or table of embeddings with constant float32 weights"
        raise BadRecipe("NothingToQuantize", work.field, "static", problem, "leave the stage out")
    ranges = find_ranges(model, feeds, recipe.observed(model), work.parameters.effective_calibration)
    unlike = () if in_float8 else unlike_branches(model, recipe, ranges)
    recipe = recipe.without(unlike)
    if not recipe.weighted and not tables:
        problem = f"every layer reads branches of unlike range, joined by {unlike[0]}, which share one scale"
        raise BadRecipe(
            "NothingToQuantize", work.field, "static", problem, "use method dynamic, or leave the stage out"
        )
    return Blueprint(model, recipe, ranges, tables, work.parameters.granularity == "channel", in_float8, unlike)


def _answers(blueprint: Blueprint, parts: Collection[str], feeds: Sequence[Feed], work: Work) -> Answers:
    from compression_runner.inference.session import RUNTIME_ERRORS

    try:
        return answer(build(blueprint, parts), feeds)
    except RUNTIME_ERRORS as error:
        problem = f"the result does not run in onnxruntime: {cause(error)}"
        raise BadRecipe("NotLoadable", work.field, "static", problem, "leave the stage out, or use cast") from error


def _kept(work: Work, blueprint: Blueprint, measure: Callable[[Collection[str]], Fidelity]) -> Kept:
    control = work.parameters.accuracy_control
    if control is None:
        return Kept(blueprint.parts, {}, measure(blueprint.parts))
    with suppress(TooLossy):
        kept = give_back(blueprint.parts, measure, control.max_drop, lambda share: work.advance(0.3 + 0.6 * share))
        if set(kept.parts) & {*blueprint.recipe.weighted, *blueprint.tables}:
            return kept
    problem = f"no part of the model can be quantized with a loss of at most {control.max_drop:g}"
    field = f"{work.field}.accuracyControl.maxDrop"
    raise BadRecipe("TooLossy", field, control.max_drop, problem, "allow more, or use cast")


def _details(work: Work, blueprint: Blueprint, kept: Kept, batches: int) -> dict[str, Any]:
    operators: dict[str, int] = {}
    for name in kept.parts:
        operator = blueprint.recipe.nodes.get(name, "Gather")
        operators[operator] = operators.get(operator, 0) + 1
    return {
        "quantizedOperators": dict(sorted(operators.items())),
        "floatAgain": {part: round(loss, 6) for part, loss in kept.given_back.items()},
        **({"floatForRange": list(blueprint.unlike)} if blueprint.unlike else {}),
        "calibrationSamples": len(work.samples),
        "checkedBatches": batches,
        "calibrationCosine": round(kept.fidelity.cosine, 6) if kept.fidelity.compared else None,
        "calibrationAgreement": kept.fidelity.agreement,
    }
