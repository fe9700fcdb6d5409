"""The fake of StageData (compression_runner.stages), and samples for tiny models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compressionjob.data import DataRole

CLASSES = 3


class FakeStageData:
    """Stage data with prepared samples: the same for every role, or for each role its own.

    It fails the test for a role or teacher that the test does not set. Other models are Transformers folders with the
    teacher's task.
    """

    def __init__(
        self,
        samples: SampleSet | Mapping[DataRole, SampleSet] | None = None,
        *,
        teacher: Artifact | None = None,
        sequence_length: int = 16,
    ) -> None:
        self.sequence_length = sequence_length
        self._samples = samples
        self._teacher = teacher

    def samples(self, role: DataRole, model_dir: Path) -> SampleSet:
        """Return the samples of a role."""
        assert model_dir.is_dir()
        samples = self._samples.get(role) if isinstance(self._samples, Mapping) else self._samples
        assert samples is not None, f"the stage asked for {role} data"
        return samples

    def teacher(self) -> Artifact:
        """Return the teacher."""
        assert self._teacher is not None, "the stage asked for a teacher"
        return self._teacher

    def model(self, location: str) -> Artifact:
        """Return the model of a file:// location."""
        return seal(Path(location.removeprefix("file://")), "transformers", self.teacher().task)


def calibration(samples: SampleSet, sequence_length: int = 16) -> FakeStageData:
    """Return stage data with only calibration samples."""
    return FakeStageData({"calibration": samples}, sequence_length=sequence_length)


def array_samples(**arrays: NDArray[Any]) -> SampleSet:
    """Return samples of arrays (samples, ...), one array for each input."""
    count = len(next(iter(arrays.values())))
    return SampleSet([{name: array[row] for name, array in arrays.items()} for row in range(count)], "sha256:0")


def image_samples(count: int = 48, size: int = 12) -> SampleSet:
    """Return grey images of noise, (1, size, size)."""
    return array_samples(pixel_values=np.random.default_rng(5).normal(size=(count, 1, size, size)).astype(np.float32))


def token_samples(count: int = 24) -> SampleSet:
    """Return random tokens of several lengths, as inputs for BERT."""
    random = np.random.default_rng(5)
    samples = []
    for length in random.integers(3, 16, count):
        ids = random.integers(5, 30, int(length))
        samples.append({"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})
    padding = {"input_ids": 0, "attention_mask": 0, "token_type_ids": 0}
    return SampleSet(samples=samples, digest="sha256:0", padding=padding)


def labelled_tokens(count: int = 48) -> SampleSet:
    """Return token ids whose class depends on the first token."""
    random = np.random.default_rng(5)
    labels = random.integers(0, CLASSES, count)
    samples: list[dict[str, NDArray[Any]]] = []
    for label in labels:
        ids = np.concatenate([[5 + label], random.integers(8, 30, int(random.integers(3, 9)))])
        samples.append(
            {
                "input_ids": ids,
                "attention_mask": np.ones(len(ids), np.int64),
                "token_type_ids": np.zeros(len(ids), np.int64),
            }
        )
    padding = {"input_ids": 0, "attention_mask": 0, "token_type_ids": 0}
    return SampleSet(samples=samples, digest="sha256:0", labels=labels.astype(np.int64), padding=padding)
