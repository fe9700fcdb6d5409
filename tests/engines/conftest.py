"""The engines of images/engines, each installed as its Dockerfile does it: slow, and gigabytes on the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tooling import CACHE, interpreter_of
from compression_runner.artifact import Artifact, seal
from tests.support import tiny_models

PINNED = Path(__file__).parents[2] / "images" / "engines"


@pytest.fixture(scope="session")
def engines() -> Path:
    """A folder of engines, as an image has it at /opt/engines."""
    folder = CACHE / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    for requirements in PINNED.glob("*.txt"):
        python = interpreter_of(requirements.stem, requirements)
        link = folder / requirements.stem
        link.unlink(missing_ok=True)
        link.symlink_to(python.parents[1])
        subprocess.run([str(python), "--version"], check=True, stdout=sys.stderr)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tiny language model."""
    return seal(tiny_models.llama(tmp_path_factory.mktemp("llama") / "model"), "transformers", "text-generation")
