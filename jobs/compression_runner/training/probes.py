"""An input to trace a model with."""

from pathlib import Path

from compression_runner.formats.probes import probes
from compression_runner.training.batches import Batch
from compression_runner.training.model import Trainable


def trace_input(model: Trainable, path: Path) -> Batch:
    """Return one small batch of the shapes that the model takes."""
    return Batch(probes(model.inner, path, model.interface)[0], None)
