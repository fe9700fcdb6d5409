"""Quantize a model: INT8 by dynamic or static ranges, a cast to float16, or by training."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from compression_runner.artifact import Artifact, Format, seal
from compression_runner.errors import BadRecipe, cause
from compression_runner.methods.quantize.engine.environment import FORMATS, interpreter
from compression_runner.methods.quantize.plan_check import check_source, require_float32, require_floats
from compression_runner.stages.method import MIB, Formats, Method, Need, Outcome, StageContext
from compressionjob.methods.quantize import Quantize

# Integers are smaller than the floats that a graph stores, however often a weight is stored then.
FOLDING: Final[Mapping[str, Literal["floats", "all"]]] = {"dynamic": "all", "static": "all", "weight-only": "floats"}


OTHERWISE: Final[Mapping[str, str]] = {
    "dynamic": "use method weight-only, static or cast",
    "static": "use method dynamic or weight-only, or backend openvino",
    "weight-only": "use method dynamic or cast",
    "cast": "use dtype bfloat16, or method dynamic",
}
"""What to do where a library cannot do a method to a graph."""


def run(artifact: Artifact, parameters: Quantize, context: StageContext) -> Outcome:
    """The model with shorter numbers; it has been loaded once, so that it is known to be valid."""
    from compression_runner.formats.companions import copy_companions
    from compression_runner.inference.session import RUNTIME_ERRORS
    from compression_runner.methods.quantize.dynamic import QuantizerFailed

    if parameters.method == "qat":
        from compression_runner.methods.quantize.qat.stage import train_quantized

        return train_quantized(artifact, parameters, context)
    if parameters.backend in FORMATS:
        from compression_runner.methods.quantize.engine.stage import quantize

        return quantize(artifact, parameters, context)
    copy_companions(artifact, context.output)
    if artifact.format == "transformers":
        return _store_in_bfloat16(artifact, context)
    try:
        details = _quantize(artifact, parameters, context)
    except QuantizerFailed as error:
        problem, remedy = f"onnxruntime cannot quantize this graph: {error}", OTHERWISE[parameters.method]
        raise BadRecipe("QuantizeFailed", context.field, parameters.method, problem, remedy) from error
    except RUNTIME_ERRORS as error:
        problem, remedy = f"the graph does not run in onnxruntime: {cause(error)}", "see that it runs on the data"
        raise BadRecipe("CalibrationFailed", context.field, parameters.method, problem, remedy) from error
    return Outcome(seal(context.output, _gives(artifact.format, parameters), artifact.task), details)


def _quantize(artifact: Artifact, parameters: Quantize, context: StageContext) -> Mapping[str, Any]:
    from compression_runner.formats.graph_weights import float_weights
    from compression_runner.formats.normalization import load, raise_opset
    from compression_runner.formats.onnx_files import GRAPH, drop_inferred_shapes, nodes, save
    from compression_runner.methods.quantize.loading import require_loadable

    model = load(artifact.model_file, FOLDING.get(parameters.method, "smaller"))
    require_floats(parameters, {node.op_type for node in nodes(model.graph)}, context.field)
    require_float32(parameters, {each.name: each.data_type for each in float_weights(model)}, context.field)
    if parameters.method == "dynamic":
        from compression_runner.methods.quantize.dynamic import OPSET, quantize

        model = raise_opset(model, OPSET, context.field)
        details = quantize(model, context.output / GRAPH, per_channel=parameters.granularity == "channel")
        if not details["quantizedOperators"]:
            problem = "the graph has no MatMul, Gemm, Conv, LSTM or Gather with constant float32 weights"
            raise BadRecipe("NothingToQuantize", context.field, "dynamic", problem, "leave the stage out")
    elif parameters.method == "weight-only":
        from compression_runner.methods.quantize.weight_only.stage import Work as WeightOnlyWork
        from compression_runner.methods.quantize.weight_only.stage import quantize as quantize_weights

        data = context.required_data.samples("calibration", artifact.path) if parameters.needs() else None
        details = quantize_weights(WeightOnlyWork(model, parameters, data, context.field, context.advance))
        save(model, context.output)
    elif parameters.method == "static":
        from compression_runner.methods.quantize.static.stage import quantize as quantize_static
        from compression_runner.methods.quantize.static.work import Work

        del model  # the work reads the graph itself
        samples = context.required_data.samples("calibration", artifact.path)
        work = Work(artifact.model_file, artifact.task, samples, parameters, context.field, context.advance)
        details = quantize_static(work, context.output)
    else:
        from compression_runner.methods.quantize.cast import BFLOAT16_OPSET, to_bfloat16, to_float16

        if parameters.dtype == "bfloat16":
            model = raise_opset(model, BFLOAT16_OPSET, context.field)
        converted, details = to_float16(model) if parameters.dtype == "float16" else (model, to_bfloat16(model))
        if not details[f"{parameters.dtype}Tensors"]:
            problem = "the graph has no float32 weights"
            raise BadRecipe("NothingToQuantize", context.field, "cast", problem, "leave the stage out")
        save(converted, context.output)
    if _gives("onnx", parameters) == "onnx":
        drop_inferred_shapes(context.output / GRAPH)
        require_loadable(context.output / GRAPH, context.field)
    return details


def _store_in_bfloat16(artifact: Artifact, context: StageContext) -> Outcome:
    from compression_runner.methods.quantize.cast import directory_to_bfloat16

    shards = [file.path for file in artifact.files if file.weights]
    details = directory_to_bfloat16(artifact.path, shards, context.output, context.advance)
    if not details["bfloat16Tensors"]:
        problem = "the model has no float32 or float16 weights"
        raise BadRecipe("NothingToQuantize", context.field, "cast", problem, "leave the stage out")
    return Outcome(seal(context.output, "transformers", artifact.task), details)


def _accepts(parameters: Quantize) -> Formats:
    if parameters.method == "qat":
        return frozenset({"transformers", "torch"})
    if parameters.backend in FORMATS:
        return frozenset({"transformers"})
    # What holds float32 in a directory can hold bfloat16 there, which every library that loads it can compute with.
    return frozenset({"transformers", "onnx"}) if parameters.dtype == "bfloat16" else frozenset({"onnx"})


def _gives(before: Format, parameters: Quantize) -> Format:
    if parameters.dtype == "bfloat16":
        return before
    if parameters.backend and parameters.backend in FORMATS:
        return FORMATS[parameters.backend]
    return "openvino" if parameters.backend == "openvino" else "onnx"


def _require(parameters: Quantize, field: str) -> None:
    if parameters.backend and parameters.backend in FORMATS:
        interpreter(parameters.backend, field)


METHOD: Final = Method(
    name="quantize",
    version=4,
    accepts=_accepts,
    gives=_gives,
    run=run,
    check_source=check_source,
    require=_require,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy", "openvino", "nncf"),
    need=Need(150 * MIB, 2.0, 170 * MIB, 4.3),
    effort=3.0,
)
