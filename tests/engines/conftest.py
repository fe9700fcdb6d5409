"""The engines of images/engines, each installed as its Dockerfile does it: slow, and gigabytes on the way."""

from pathlib import Path

import pytest

from compression_runner.artifact import Artifact, seal
from tests.support import tiny_models
from tests.support.engine_environments import installed


@pytest.fixture(scope="session")
def engines() -> Path:
    """A folder of engines, as an image has it at /opt/engines."""
    return installed("llm-compressor", "modelopt")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tiny language model."""
    return seal(tiny_models.llama(tmp_path_factory.mktemp("llama") / "model"), "transformers", "text-generation")
