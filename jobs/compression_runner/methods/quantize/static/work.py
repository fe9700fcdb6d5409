"""What a static quantization is about, and when its result is no result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.static.fidelity import Fidelity
from compressionjob.methods.quantize import Static
from compressionjob.tasks import TASKS, Task

BROKEN: Final = 0.5
"""A mean cosine below this is no loss of precision but a broken graph."""


@dataclass(frozen=True)
class Work:
    """The graph's file, its task, the calibration samples, and the spec's field for errors."""

    graph: Path
    task: Task
    samples: SampleSet
    parameters: Static
    field: str
    advance: Callable[[float], None]

    @property
    def classifies(self) -> bool:
        """Whether each sample has one class, by which a loss is counted."""
        return TASKS[self.task].classifies and self.samples.multi_label is None


def require_whole(work: Work, fidelity: Fidelity) -> None:
    """Raises BadRecipe where the result has nothing to do any more with what the float model answers.

    So does accuracyControl, which gives back by the answers, where these cannot be compared.
    """
    if work.parameters.accuracy_control is not None and not fidelity.compared:
        problem = "no output is of floats with the same number of rows in both models, so that no loss can be measured"
        field = f"{work.field}.accuracyControl"
        raise BadRecipe("TooLossy", field, "static", problem, "leave accuracyControl out")
    if fidelity.cosine < BROKEN:
        problem = f"the result answers otherwise than the float model (cosine {fidelity.cosine:.3f})"
        remedy = "give accuracyControl, smoothQuant or other calibration data, or use method dynamic"
        raise BadRecipe("ResultBroken", work.field, "static", problem, remedy)
