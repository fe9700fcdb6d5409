"""Static quantization: weights, and activations with ranges from calibration data."""

from typing import Final

from compression_runner.artifact import Artifact, Format, seal
from compression_runner.methods.quantize.graph_stage import finish, graph_errors, load_floats
from compression_runner.methods.quantize.need import NEED
from compression_runner.methods.quantize.plan_check import float32_graph
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import Static


def run(artifact: Artifact, parameters: Static, context: StageContext) -> Outcome:
    """Return the graph, or the OpenVINO model, in INT8 or FP8.

    Raises BadRecipe if nothing can be quantized, the outputs differ too much from the float graph, or the library
    cannot quantize the graph.
    """
    from compression_runner.methods.quantize.static.onnxruntime_backend import quantize
    from compression_runner.methods.quantize.static.request import StaticRequest

    with graph_errors(artifact, context, "static", "use method dynamic or weight-only, or backend openvino"):
        load_floats(artifact, parameters, context.field, "all")  # only to check it: the backend loads the graph itself
        samples = context.required_data.samples("calibration", artifact.path)
        request = StaticRequest(artifact.model_file, artifact.task, samples, parameters, context.field, context.advance)
        details = quantize(request, context.output)
        if parameters.backend == "openvino":
            return Outcome(seal(context.output, "openvino", artifact.task), details)
        return finish(artifact, context, details)


def _gives(_before: Format, parameters: Static) -> Format:
    return "openvino" if parameters.backend == "openvino" else "onnx"


METHOD: Final = Method(
    name="quantize",
    version=4,
    accepts=always("onnx"),
    gives=_gives,
    run=run,
    check_source=float32_graph,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy", "openvino", "nncf"),
    need=NEED,
    effort=3.0,
)
