"""Dynamic quantization: integer weights, and activations quantized at run time."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.graph_stage import finish, graph_errors, load_floats
from compression_runner.methods.quantize.need import NEED
from compression_runner.methods.quantize.plan_check import graph_with_layers
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import Dynamic


def run(artifact: Artifact, parameters: Dynamic, context: StageContext) -> Outcome:
    """Return the graph with INT8 weights.

    Raises BadRecipe if there is nothing to quantize, or onnxruntime cannot quantize the graph.
    """
    from compression_runner.formats.normalization import raise_opset
    from compression_runner.formats.onnx_files import GRAPH
    from compression_runner.methods.quantize.dynamic.quantization import OPSET, quantize

    with graph_errors(artifact, context, "dynamic", "use method weight-only, static or cast"):
        # Fold all weights: even a weight stored several times as integers is smaller than as floats.
        model = raise_opset(load_floats(artifact, parameters, context.field, "all"), OPSET, context.field)
        details = quantize(model, context.output / GRAPH, per_channel=parameters.granularity == "channel")
    if not details["quantizedOperators"]:
        problem = "the graph has no MatMul, Gemm, Conv, LSTM or Gather with constant float32 weights"
        raise BadRecipe("NothingToQuantize", context.field, "dynamic", problem, "remove the stage")
    return finish(artifact, context, details)


METHOD: Final = Method(
    name="quantize",
    version=4,
    accepts=always("onnx"),
    run=run,
    check_source=graph_with_layers,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy"),
    need=NEED,
    effort=3.0,
)
