"""Held-out training data, which measures the effect of training on samples that are not trained on."""

from typing import Final

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.formats.signals import SIGNALS
from compression_runner.training.batches import Batch, TrainingBatches
from compression_runner.training.positions import POSITIONS, SEQUENTIAL
from compressionjob.tasks import Task

SHARE: Final = 0.1
MAX_SAMPLES: Final = 1000
SEED: Final = 20261124
BATCH: Final = 64


def split_holdout(data: SampleSet) -> tuple[SampleSet, SampleSet]:
    """Split data into training samples and held-out samples: always the same tenth, from 1 to 1,000 samples."""
    if len(data) < 2:
        return data, data
    order = np.random.default_rng(SEED).permutation(len(data)).tolist()
    count = min(MAX_SAMPLES, max(1, int(SHARE * len(data))))
    return data.only(sorted(order[count:])), data.only(sorted(order[:count]))


def batches_for_task(data: SampleSet, inputs: tuple[str, ...], task: Task) -> list[Batch]:
    """Return every sample once, in batches that fit memory: small if each position has logits of a vocabulary."""
    if task not in SEQUENTIAL or inputs[0] in SIGNALS:
        return all_batches(data, inputs)
    longest = max((data.length(index) for index in range(len(data))), default=1)
    return all_batches(data, inputs, max(1, POSITIONS // max(1, longest)))


def all_batches(data: SampleSet, inputs: tuple[str, ...], most: int = BATCH) -> list[Batch]:
    """Return every sample once, in batches of at most `most` samples."""
    size = min(BATCH, most)
    batches = TrainingBatches(data, inputs, size, seed=0)
    return [batches.of_rows(range(start, min(start + size, len(data)))) for start in range(0, len(data), size)]
