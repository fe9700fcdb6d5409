"""Common steps of the methods that quantize ONNX graphs: loading, errors, and sealing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe, cause
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.parameters import Parameters

if TYPE_CHECKING:
    import onnx

    from compression_runner.formats.folding import Folding


@contextmanager
def graph_errors(artifact: Artifact, context: StageContext, method: str, remedy_if_unsupported: str) -> Iterator[None]:
    """Copy the files beside the graph, and convert errors of the libraries to BadRecipe.

    `remedy_if_unsupported` is the remedy if onnxruntime cannot quantize the graph.
    """
    from compression_runner.formats.companions import copy_companions
    from compression_runner.inference.onnx_session import RUNTIME_ERRORS
    from compression_runner.methods.quantize.converters import QuantizerFailed

    copy_companions(artifact, context.output)
    try:
        yield
    except QuantizerFailed as error:
        problem = f"onnxruntime cannot quantize this graph: {error}"
        raise BadRecipe("QuantizeFailed", context.field, method, problem, remedy_if_unsupported) from error
    except RUNTIME_ERRORS as error:
        problem, remedy = f"the graph does not run in onnxruntime: {cause(error)}", "check that it runs on the data"
        raise BadRecipe("CalibrationFailed", context.field, method, problem, remedy) from error


def load_floats(artifact: Artifact, parameters: Parameters, field: str, folding: "Folding") -> "onnx.ModelProto":
    """Return the graph in normal form, with all weights in memory.

    Raises BadRecipe for a graph that the method does not accept: one that is quantized, or in float16.
    """
    from compression_runner.formats.graph_weights import float_weights
    from compression_runner.formats.normalization import load
    from compression_runner.formats.onnx_files import nodes
    from compression_runner.methods.quantize.plan_check import require_float32, require_floats

    model = load(artifact.model_file, folding)
    require_floats(parameters, {node.op_type for node in nodes(model.graph)}, field)
    require_float32(parameters, {each.name: each.data_type for each in float_weights(model)}, field)
    return model


def finish(artifact: Artifact, context: StageContext, details: Mapping[str, Any]) -> Outcome:
    """Check that the written graph loads, and seal it."""
    from compression_runner.formats.onnx_files import GRAPH, drop_inferred_shapes
    from compression_runner.methods.quantize.load_check import require_loadable

    drop_inferred_shapes(context.output / GRAPH)
    require_loadable(context.output / GRAPH, context.field)
    return Outcome(seal(context.output, "onnx", artifact.task), details)
