"""The inputs of a static quantization, and the check of its fidelity."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.static.fidelity import Fidelity
from compressionjob.methods.quantize import Static
from compressionjob.tasks import TASKS, Task

MIN_COSINE: Final = 0.5
"""A lower mean cosine means a broken graph, not a loss of precision."""


@dataclass(frozen=True)
class StaticRequest:
    """The graph file, its task, calibration samples and parameters, and the field of the spec for errors."""

    graph: Path
    task: Task
    samples: SampleSet
    parameters: Static
    field: str
    advance: Callable[[float], None]

    @property
    def classifies(self) -> bool:
        """Whether each sample has one class, so that the loss counts changed classes."""
        return TASKS[self.task].classifies and self.samples.multi_label is None


def require_fidelity(request: StaticRequest, fidelity: Fidelity) -> None:
    """Raise BadRecipe if the outputs are unrelated to those of the float model.

    Also raise it with accuracyControl, which depends on outputs, if they cannot be compared.
    """
    if request.parameters.accuracy_control is not None and not fidelity.compared:
        problem = "no float output has the same number of rows in both models, so the loss cannot be measured"
        field = f"{request.field}.accuracyControl"
        raise BadRecipe("TooLossy", field, "static", problem, "remove accuracyControl")
    if fidelity.cosine < MIN_COSINE:
        problem = f"the outputs of the quantized model differ from the float model (cosine {fidelity.cosine:.3f})"
        remedy = "set accuracyControl or smoothQuant, use other calibration data, or use method dynamic"
        raise BadRecipe("ResultBroken", request.field, "static", problem, remedy)
