"""A model that answers samples, and the checkpoint that it was made of."""

from collections.abc import Callable
from dataclasses import dataclass

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.answers import answers
from compression_runner.inference.predictor import Predictor
from compression_runner.inference.similarity import Floats
from compressionjob.tasks import Task

Checkpoint = Callable[[], Artifact]
"""Brings a Transformers directory, when asked."""


@dataclass(frozen=True)
class Answering:
    """One model: its graph, and the Transformers directory that it was made of, None where it came as a graph."""

    predictor: Predictor
    task: Task
    batch_size: int
    checkpoint: Checkpoint | None

    def scores(self, data: SampleSet, batch_size: int | None = None) -> Floats:
        """Return what the graph answers, shape (samples, values), in batches as they will be served or as given."""
        return answers(self.predictor, data, self.task, batch_size or self.batch_size)


Both = tuple[Answering, Answering]
"""Baseline and compressed model."""


def spread(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` of `count` samples, from all over them."""
    chosen = min(count, wanted)
    return [index * count // chosen for index in range(chosen)]
