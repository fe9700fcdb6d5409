"""Tiny models, created once for all the runner's unit tests."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from tests.support import tiny_models
from tests.support.graphs import LinearModel, linear


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformers directory for text embedding."""
    return tiny_models.bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def exported(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same model as a checked ONNX export."""
    into = tmp_path_factory.mktemp("exported")
    source = seal(bert, "transformers", "text-embedding")
    return METHODS["export", ""].run(source, None, StageContext(into, "spec.pipeline[0].quantize")).artifact


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformers directory for text generation."""
    return tiny_models.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def exported_llama(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same model as a checked ONNX export with its cache."""
    into = tmp_path_factory.mktemp("exported-llama")
    source = seal(llama, "transformers", "text-generation")
    return METHODS["export", ""].run(source, None, StageContext(into, "spec.pipeline[0].quantize")).artifact


@pytest.fixture
def linear_model(tmp_path: Path) -> LinearModel:
    """Return a function that writes `x @ weights` under a name; a fixed batch size where one is given."""

    def write(name: str, weights: NDArray[np.float32], batch: int | str = "batch", output: str = "logits") -> Path:
        return linear(tmp_path / f"{name}.onnx", weights, batch, output)

    return write
