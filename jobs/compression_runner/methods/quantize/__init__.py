"""Quantize a model: INT8 by dynamic or static ranges, a cast to float16, or by training."""

from collections.abc import Mapping
from typing import Any, Final

from compression_runner.artifact import Artifact, Format, seal
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.engine.environment import FORMATS, interpreter
from compression_runner.stages.method import MIB, Formats, Method, Need, Outcome, StageContext
from compressionjob.methods.quantize import Quantize

# Operators that only a graph has that was quantized before.
ALREADY: Final = frozenset(
    {
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "QLinearMatMul",
        "QLinearConv",
        "QuantizeLinear",
        "MatMulNBits",
    }
)


def run(artifact: Artifact, parameters: Quantize, context: StageContext) -> Outcome:
    """The model with shorter numbers; it has been loaded once, so that it is known to be valid."""
    from compression_runner.formats.companions import copy_companions

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
    except (ValueError, TypeError, KeyError, RuntimeError, AssertionError) as error:
        problem = f"onnxruntime cannot quantize this graph: {error or type(error).__name__}"
        raise BadRecipe("QuantizeFailed", context.field, parameters.method, problem, "leave the stage out") from error
    return Outcome(seal(context.output, _gives(artifact.format, parameters), artifact.task), details)


def _quantize(artifact: Artifact, parameters: Quantize, context: StageContext) -> Mapping[str, Any]:
    import onnx

    from compression_runner.formats.onnx_files import GRAPH, nodes, save
    from compression_runner.methods.quantize.loading import require_loadable

    model = onnx.load(artifact.model_file)
    operators = {node.op_type for node in nodes(model.graph)}
    if parameters.method in ("dynamic", "static", "weight-only") and operators & ALREADY:
        problem = f"the graph is quantized already ({', '.join(sorted(operators & ALREADY))})"
        raise BadRecipe("AlreadyQuantized", context.field, parameters.method, problem, "start from the float32 model")
    if parameters.method == "dynamic":
        from compression_runner.methods.quantize.dynamic import quantize

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

        samples = context.required_data.samples("calibration", artifact.path)
        work = Work(artifact.model_file, artifact.task, samples, parameters, context.field, context.advance)
        details = quantize_static(work, context.output)
    else:
        from compression_runner.methods.quantize.cast import to_bfloat16, to_float16

        converted, details = to_float16(model) if parameters.dtype == "float16" else (model, to_bfloat16(model))
        if not details[f"{parameters.dtype}Tensors"]:
            problem = "the graph has no float32 weights"
            raise BadRecipe("NothingToQuantize", context.field, "cast", problem, "leave the stage out")
        save(converted, context.output)
    if _gives("onnx", parameters) == "onnx":
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
    version=2,
    accepts=_accepts,
    gives=_gives,
    run=run,
    require=_require,
    libraries=("onnxruntime", "onnx", "numpy", "openvino", "nncf"),
    need=Need(150 * MIB, 2.0, 170 * MIB, 4.3),
    effort=3.0,
)
