"""Convert an ONNX graph to OpenVINO, a step that the planner adds if the output format is OpenVINO."""

from compression_runner.artifact import Artifact, seal
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always


def run(artifact: Artifact, _parameters: None, context: StageContext) -> Outcome:
    """Return an OpenVINO IR with the outputs of the graph, and the tokenizer beside it."""
    from compression_runner.formats.companions import copy_companions
    from compression_runner.methods.converting.conversion import convert

    copy_companions(artifact, context.output)
    samples = context.required_data.samples("evaluation", artifact.path)
    details = convert(artifact.model_file, samples, context.output, context.field)
    return Outcome(seal(context.output, "openvino", artifact.task), details)


METHOD = Method(
    name="convert",
    version=1,
    accepts=always("onnx"),
    run=run,
    gives=lambda _before, _parameters: "openvino",
    libraries=("openvino",),
    need=Need(200 * MIB, 2.0, 450 * MIB, 4.0),
    effort=3.0,
)
