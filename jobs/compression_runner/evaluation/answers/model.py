"""A model that answers samples, and the checkpoint that it was exported from."""

from collections.abc import Callable
from dataclasses import dataclass

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.answers import answers
from compression_runner.inference.predictor import Predictor
from compression_runner.inference.similarity import Floats
from compressionjob.tasks import Task

Checkpoint = Callable[[], Artifact]
"""Fetches a Transformers directory."""


@dataclass(frozen=True)
class Answering:
    """One model: its graph, and the Transformers directory that it was exported from; None if it came as a graph."""

    predictor: Predictor
    task: Task
    batch_size: int
    checkpoint: Checkpoint | None

    def scores(self, data: SampleSet, batch_size: int | None = None) -> Floats:
        """Return the graph's answers, shape (samples, values), in batches of the served size by default."""
        return answers(self.predictor, data, self.task, batch_size or self.batch_size)


Both = tuple[Answering, Answering]
"""Baseline and compressed model."""


def spread(count: int, wanted: int) -> list[int]:
    """Return the indices of up to `wanted` of `count` samples, evenly spread."""
    chosen = min(count, wanted)
    return [index * count // chosen for index in range(chosen)]
