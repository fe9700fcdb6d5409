"""Dynamic quantization: integer weights, and activations that are quantized while the model runs."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.graph_stage import finish, load_floats, refusing
from compression_runner.methods.quantize.need import NEED
from compression_runner.methods.quantize.plan_check import float32_graph
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import Dynamic


def run(artifact: Artifact, parameters: Dynamic, context: StageContext) -> Outcome:
    """Return the graph with INT8 weights.

    Raises BadRecipe where there is nothing to quantize, or onnxruntime cannot.
    """
    from compression_runner.formats.normalization import raise_opset
    from compression_runner.formats.onnx_files import GRAPH
    from compression_runner.methods.quantize.dynamic.converting import OPSET, quantize

    with refusing(artifact, context, "dynamic", "use method weight-only, static or cast"):
        # Integers are smaller than the floats that a graph stores, however often a weight is stored then.
        model = raise_opset(load_floats(artifact, parameters, context.field, "all"), OPSET, context.field)
        details = quantize(model, context.output / GRAPH, per_channel=parameters.granularity == "channel")
    if not details["quantizedOperators"]:
        problem = "the graph has no MatMul, Gemm, Conv, LSTM or Gather with constant float32 weights"
        raise BadRecipe("NothingToQuantize", context.field, "dynamic", problem, "leave the stage out")
    return finish(artifact, context, details)


METHOD: Final = Method(
    name="quantize",
    version=4,
    accepts=always("onnx"),
    run=run,
    check_source=float32_graph,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy"),
    need=NEED,
    effort=3.0,
)
