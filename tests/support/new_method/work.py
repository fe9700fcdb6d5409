"""Round the weights of a graph to a coarse grid."""

from typing import TYPE_CHECKING, Final

from compression_runner.artifact import Artifact, seal
from compression_runner.stages.method import Method, Outcome, StageContext, always

if TYPE_CHECKING:
    from tests.support.new_method.parameters import Coarse


def run(artifact: Artifact, parameters: "Coarse", context: StageContext) -> Outcome:
    """Return the graph with each weight rounded to the grid."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    steps = parameters.steps or 8
    model = onnx.load(artifact.model_file)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        width = np.abs(values).max() / steps
        rounded = (np.round(values / width) * width).astype(values.dtype)
        tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    onnx.save(model, context.output / "model.onnx")
    return Outcome(seal(context.output, "onnx", artifact.task), {"steps": steps})


METHOD: Final = Method(name="quantize", version=1, accepts=always("onnx"), run=run, libraries=("onnx", "numpy"))
