"""Weight-only quantization: low-bit weights in groups."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.methods.quantize.graph_stage import finish, graph_errors, load_floats
from compression_runner.methods.quantize.need import NEED
from compression_runner.methods.quantize.plan_check import graph_with_matrices
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import WeightOnly


def run(artifact: Artifact, parameters: WeightOnly, context: StageContext) -> Outcome:
    """Return the graph with low-bit weights.

    Raises BadRecipe if there is nothing to quantize, or the calibration fails.
    """
    from compression_runner.formats.onnx_files import save
    from compression_runner.methods.quantize.weight_only.quantization import WeightOnlyRequest, quantize

    with graph_errors(artifact, context, "weight-only", "use method dynamic or cast"):
        model = load_floats(artifact, parameters, context.field, "floats")
        data = context.required_data.samples("calibration", artifact.path) if parameters.needs() else None
        details = quantize(WeightOnlyRequest(model, parameters, data, context.field, context.advance))
        save(model, context.output)
        return finish(artifact, context, details)


METHOD: Final = Method(
    name="quantize",
    version=4,
    accepts=always("onnx"),
    run=run,
    check_source=graph_with_matrices,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy"),
    need=NEED,
    effort=3.0,
)
