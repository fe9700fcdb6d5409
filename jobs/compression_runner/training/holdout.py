"""Training data that is held back, to see on the way what learning does to samples that are not learned from."""

from typing import Final

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.formats.signals import SIGNALS
from compression_runner.training.batches import Batch, Batches
from compression_runner.training.positions import POSITIONS, SEQUENTIAL
from compressionjob.tasks import Task

SHARE: Final = 0.1
MOST: Final = 1000
SEED: Final = 20261124
BATCH: Final = 64


def hold_back(data: SampleSet) -> tuple[SampleSet, SampleSet]:
    """What is learned from, and a tenth (at most 1,000 samples, at least one) that is not; always the same one."""
    if len(data) < 2:
        return data, data
    order = np.random.default_rng(SEED).permutation(len(data)).tolist()
    count = min(MOST, max(1, int(SHARE * len(data))))
    return data.only(sorted(order[count:])), data.only(sorted(order[:count]))


def for_task(data: SampleSet, inputs: tuple[str, ...], task: Task) -> list[Batch]:
    """Every sample once, in batches that memory holds: few where every position has logits of a vocabulary."""
    if task not in SEQUENTIAL or inputs[0] in SIGNALS:
        return whole(data, inputs)
    longest = max((data.length(index) for index in range(len(data))), default=1)
    return whole(data, inputs, max(1, POSITIONS // max(1, longest)))


def whole(data: SampleSet, inputs: tuple[str, ...], most: int = BATCH) -> list[Batch]:
    """Every sample once, in batches of at most so many."""
    size = min(BATCH, most)
    batches = Batches(data, inputs, size, seed=0)
    return [batches.of_rows(range(start, min(start + size, len(data)))) for start in range(0, len(data), size)]
