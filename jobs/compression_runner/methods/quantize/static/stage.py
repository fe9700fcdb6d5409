"""From a float graph and calibration samples to an INT8 graph that is known to answer like it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx

from compression_runner.calibration.feeding import Feed
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.static.accuracy import Kept, TooLossy, give_back
from compression_runner.methods.quantize.static.building import Blueprint, build
from compression_runner.methods.quantize.static.embedding import find_tables
from compression_runner.methods.quantize.static.fidelity import Fidelity, Rows, answer, compare
from compression_runner.methods.quantize.static.observing import calibration_feeds, find_ranges
from compression_runner.methods.quantize.static.preparing import prepare
from compression_runner.methods.quantize.static.recipe import choose
from compressionjob.methods.quantize import Quantize
from compressionjob.tasks import TASKS, Task

BROKEN: Final = 0.5
"""A mean cosine below this is no loss of precision but a broken graph."""
FEWEST: Final = 8
"""With fewer samples than twice this, ranges and the loss are found on the same ones."""


@dataclass(frozen=True)
class Work:
    """What the stage is about: the graph's file, its task, the samples, and the spec's field for errors."""

    graph: Path
    task: Task
    samples: SampleSet
    parameters: Quantize
    field: str
    advance: Callable[[float], None]


def quantize(work: Work) -> tuple[onnx.ModelProto, Mapping[str, Any]]:
    """The INT8 graph, and what was done.

    Raises BadRecipe where nothing can be quantized, or the result answers otherwise than the float graph.
    """
    model = prepare(work.graph)
    feeds = calibration_feeds(model, work.samples)
    observed, checked = _divide(feeds)
    blueprint = _blueprint(work, model, observed)
    work.advance(0.3)
    expected = answer(model, checked)

    def measure(parts: Collection[str]) -> Fidelity:
        return compare(expected, _answers(blueprint, parts, checked, work), classifies=TASKS[work.task].classifies)

    kept = _kept(work, blueprint, measure)
    if kept.fidelity.cosine < BROKEN:
        problem = f"the result answers otherwise than the float model (cosine {kept.fidelity.cosine:.3f})"
        remedy = "give accuracyControl, smoothQuant or other calibration data, or use method dynamic"
        raise BadRecipe("ResultBroken", work.field, "static", problem, remedy)
    return build(blueprint, kept.parts), _details(work, blueprint, kept, len(checked))


def _divide(feeds: list[Feed]) -> tuple[list[Feed], list[Feed]]:
    """What ranges are found on, and what the loss is measured on: every third batch where there are enough."""
    if len(feeds) < 2 * FEWEST:
        return feeds, feeds
    return [feed for index, feed in enumerate(feeds) if index % 3], feeds[::3]


def _blueprint(work: Work, model: onnx.ModelProto, feeds: Sequence[Feed]) -> Blueprint:
    recipe = choose(model)
    tables = tuple(find_tables(model))
    if not recipe.weighted and not tables:
        problem = "the graph has no MatMul, Gemm, Conv or table of embeddings with constant float32 weights"
        raise BadRecipe("NothingToQuantize", work.field, "static", problem, "leave the stage out")
    ranges = find_ranges(model, feeds, recipe.observed(model), work.parameters.effective_calibration)
    return Blueprint(model, recipe, ranges, tables, per_channel=work.parameters.granularity == "channel")


def _answers(blueprint: Blueprint, parts: Collection[str], feeds: Sequence[Feed], work: Work) -> list[Rows]:
    from compression_runner.formats.session import RUNTIME_ERRORS

    try:
        return answer(build(blueprint, parts), feeds)
    except RUNTIME_ERRORS as error:
        first = " ".join(str(error).split())[:300]
        problem = f"the result does not run in onnxruntime: {first}"
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
        "calibrationSamples": len(work.samples),
        "checkedBatches": batches,
        "calibrationCosine": round(kept.fidelity.cosine, 6),
        "calibrationAgreement": kept.fidelity.agreement,
    }
