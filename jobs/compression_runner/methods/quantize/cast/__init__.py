"""Cast: weights and activations in a shorter floating-point type."""

from typing import Final

from compression_runner.artifact import Artifact, Format, seal
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.graph_stage import finish, graph_errors, load_floats
from compression_runner.methods.quantize.need import NEED
from compression_runner.methods.quantize.plan_check import float_graph
from compression_runner.stages.method import Formats, Method, Outcome, StageContext
from compressionjob.methods.quantize import Cast


def run(artifact: Artifact, parameters: Cast, context: StageContext) -> Outcome:
    """Return the model in float16 or bfloat16.

    Raises BadRecipe if it has no float32 weights, or onnxruntime cannot cast them.
    """
    if artifact.format == "transformers":
        return _folder(artifact, context)
    from compression_runner.formats.normalization import raise_opset
    from compression_runner.formats.onnx_files import save
    from compression_runner.methods.quantize.cast.half_precision import BFLOAT16_OPSET, to_bfloat16, to_float16

    with graph_errors(artifact, context, "cast", "use dtype bfloat16, or method dynamic"):
        model = load_floats(artifact, parameters, context.field, "smaller")
        if parameters.dtype == "bfloat16":
            model = raise_opset(model, BFLOAT16_OPSET, context.field)
        converted, details = to_float16(model) if parameters.dtype == "float16" else (model, to_bfloat16(model))
        if not details[f"{parameters.dtype}Tensors"]:
            raise _nothing(context, "the graph has no float32 weights")
        save(converted, context.output)
        return finish(artifact, context, details)


def _folder(artifact: Artifact, context: StageContext) -> Outcome:
    from compression_runner.formats.companions import copy_companions
    from compression_runner.methods.quantize.cast.half_precision import directory_to_bfloat16

    copy_companions(artifact, context.output)
    shards = [file.path for file in artifact.files if file.weights]
    details = directory_to_bfloat16(artifact.path, shards, context.output, context.advance)
    if not details["bfloat16Tensors"]:
        raise _nothing(context, "the model has no float32 or float16 weights")
    return Outcome(seal(context.output, "transformers", artifact.task), details)


def _nothing(context: StageContext, problem: str) -> BadRecipe:
    return BadRecipe("NothingToQuantize", context.field, "cast", problem, "remove the stage")


def _accepts(parameters: Cast) -> Formats:
    # A directory in float32 can be stored in bfloat16, which all libraries that load it support.
    return frozenset({"transformers", "onnx"}) if parameters.dtype == "bfloat16" else frozenset({"onnx"})


def _gives(before: Format, parameters: Cast) -> Format:
    return before if parameters.dtype == "bfloat16" else "onnx"


METHOD: Final = Method(
    name="quantize",
    version=4,
    accepts=_accepts,
    gives=_gives,
    run=run,
    check_source=float_graph,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy"),
    need=NEED,
    effort=3.0,
)
