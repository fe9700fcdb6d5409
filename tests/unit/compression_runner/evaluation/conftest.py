"""Tiny models that the tests of an evaluation share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compression_runner.evaluation.answers.model import Answering, Checkpoint
from compression_runner.evaluation.statistics import paired_bootstrap
from compression_runner.inference.onnx import OnnxPredictor
from compressionjob.tasks import Task
from tests.support import graphs


@pytest.fixture
def linear(tmp_path: Path) -> Iterator[graphs.Linear]:
    """Return a function that creates a model of `logits = x @ weights`."""
    opened: list[OnnxPredictor] = []

    def make(
        weights: NDArray[np.float32], task: Task = "tabular-classification", checkpoint: Checkpoint | None = None
    ) -> Answering:
        opened.append(OnnxPredictor(graphs.linear(tmp_path / f"{len(opened)}.onnx", weights), 1))
        return Answering(opened[-1], task, 1, checkpoint)

    yield make
    for predictor in opened:
        predictor.close()


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", 400)
