"""Tiny models for the stage."""

from pathlib import Path

import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from tests import tiny_models


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformers directory for text embedding."""
    return tiny_models.bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def exported(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same model as a checked ONNX export."""
    into = tmp_path_factory.mktemp("exported")
    source = seal(bert, "transformers", "text-embedding")
    return METHODS["export"].run(source, None, StageContext(into, "spec.pipeline[0].factorize")).artifact
