"""Tiny models, each made once for all the runner's unit tests."""

from pathlib import Path

import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compression_runner.storage import Store, Stores
from compression_runner.storage.credentials import Role
from compressionjob.locations import Storage, parse_location
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
    return METHODS["export"].run(source, None, StageContext(into, "spec.pipeline[0].quantize")).artifact


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformers directory for text generation."""
    return tiny_models.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def exported_llama(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same model as a checked ONNX export with its cache."""
    into = tmp_path_factory.mktemp("exported-llama")
    source = seal(llama, "transformers", "text-generation")
    return METHODS["export"].run(source, None, StageContext(into, "spec.pipeline[0].quantize")).artifact


def open_store(place: Path) -> Store:
    """The store of a local directory or file, as the model's source."""
    location = parse_location(f"file://{place}")
    return Stores().open(location, Storage(), Role.MODEL, "spec.model.source")
