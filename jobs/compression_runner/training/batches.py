"""Samples as batches of tensors, in an order that depends on the seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.methods.training import Augmentation

SHIFT: Final = 2
"""Maximum shift of an image in pixels."""


@dataclass(frozen=True)
class Batch:
    """Inputs in the order of the model's interface, and labels of shape (batch,) or None."""

    inputs: tuple[torch.Tensor, ...]
    labels: torch.Tensor | None

    def to(self, device: torch.device) -> "Batch":
        """Return the same batch in the memory of a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return Batch(tuple(tensor.to(device) for tensor in self.inputs), labels)

    def rows(self, start: int, end: int) -> "Batch":
        """Return the samples from `start` to before `end`."""
        labels = None if self.labels is None else self.labels[start:end]
        return Batch(tuple(tensor[start:end] for tensor in self.inputs), labels)


class TrainingBatches:
    """The batches of a data set for the inputs of a model.

    Step `n` has the same samples in every run, so an interrupted run resumes from n alone.
    """

    def __init__(
        self, data: SampleSet, inputs: Sequence[str], size: int, seed: int, augment: Sequence[Augmentation] = ()
    ) -> None:
        first = data.samples[0]
        if data.unnamed and len(inputs) == 1:
            first = {inputs[0]: next(iter(first.values()))}
        missing = [name for name in inputs if name not in first]
        if missing:
            problem = f"the model needs the input {missing[0]}; the data gives {', '.join(first)}"
            raise InvalidInput("InvalidData", "spec.data.training.source", missing[0], problem, "give data that has it")
        self._data = data
        self._infos = [TensorInfo(name, first[name].dtype, (None,) * (first[name].ndim + 1)) for name in inputs]
        self._size = min(size, len(data))
        self._seed = seed
        self._augment = tuple(augment)
        self.steps_per_epoch = max(1, len(data) // self._size)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self._data)

    def of_step(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0; each epoch has its own order and drops an incomplete batch."""
        epoch, position = divmod(step, self.steps_per_epoch)
        chosen = self._epoch(epoch)[position * self._size : (position + 1) * self._size]
        batch = self.of_rows([int(row) for row in chosen])
        if not self._augment:
            return batch
        generator = np.random.default_rng([self._seed, 1, step])
        return Batch(tuple(_augmented(tensor, self._augment, generator) for tensor in batch.inputs), batch.labels)

    def of_rows(self, rows: Sequence[int]) -> Batch:
        """Return the batch of these rows, without augmentation."""
        feed = self._data.batch(rows, self._infos)
        labels = None if self._data.labels is None else torch.from_numpy(self._data.labels[np.asarray(rows)])
        return Batch(tuple(torch.from_numpy(np.ascontiguousarray(feed[info.name])) for info in self._infos), labels)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            drawn = np.random.default_rng([self._seed, 0, epoch]).permutation(len(self._data))
            self._order = (epoch, drawn)
        return self._order[1]


def _augmented(tensor: torch.Tensor, augment: Sequence[Augmentation], generator: np.random.Generator) -> torch.Tensor:
    """Augment images (batch, channels, height, width), each at random; return other inputs unchanged."""
    if tensor.dim() != 4 or not tensor.is_floating_point():
        return tensor
    if "flip" in augment:
        flipped = torch.from_numpy(generator.random(len(tensor)) < 0.5)
        tensor = torch.where(flipped[:, None, None, None], tensor.flip(3), tensor)
    if "shift" in augment:
        moves = generator.integers(-SHIFT, SHIFT + 1, size=(len(tensor), 2))
        padded = torch.nn.functional.pad(tensor, (SHIFT, SHIFT, SHIFT, SHIFT), mode="replicate")
        height, width = tensor.shape[2:]
        tensor = torch.stack(
            [
                padded[row, :, SHIFT + down : SHIFT + down + height, SHIFT + right : SHIFT + right + width]
                for row, (down, right) in enumerate(moves.tolist())
            ]
        )
    return tensor
