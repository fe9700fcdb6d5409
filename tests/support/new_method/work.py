"""Round the weights of a graph to a coarse grid."""

from typing import TYPE_CHECKING, Any, Final

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.graph_stage import finish, graph_errors, load_floats
from compression_runner.methods.quantize.plan_check import graph_with_layers
from compression_runner.stages.method import Method, Outcome, StageContext, always
from tests.support.new_method.parameters import Coarse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def run(artifact: Artifact, parameters: Coarse, context: StageContext) -> Outcome:
    """Return the graph with the weights of its layers rounded to the grid.

    Raises BadRecipe if the graph has no such weights.
    """
    from onnx import numpy_helper

    from compression_runner.formats.graph_weights import float_weights
    from compression_runner.formats.onnx_files import save

    steps = parameters.steps or 8
    with graph_errors(artifact, context, "coarse", "use method weight-only"):
        model = load_floats(artifact, parameters, context.field, "smaller")
        weights = list(float_weights(model))
        if not weights:
            problem = "the graph has no layers with constant weights"
            raise BadRecipe("NothingToQuantize", context.field, "coarse", problem, "remove the stage")
        for tensor in weights:
            values = rounded(numpy_helper.to_array(tensor), steps)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        save(model, context.output)
        return finish(artifact, context, {"steps": steps, "weights": len(weights)})


def rounded(values: "NDArray[Any]", steps: int) -> "NDArray[Any]":
    """Return the values rounded to multiples of the largest divided by `steps`; without values but 0, as they are."""
    width = abs(values).max(initial=0.0) / steps
    return (values / width).round() * width if width else values


METHOD: Final = Method(
    name="quantize",
    version=1,
    accepts=always("onnx"),
    run=run,
    check_source=graph_with_layers,
    libraries=("onnx", "onnx-ir", "numpy"),
)
