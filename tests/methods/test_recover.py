"""Recovery follows every lossy stage that writes a checkpoint and restores most of a CNN's lost accuracy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compression_runner.training.sparsity import sparsity
from compressionjob.methods.recover import Recover
from compressionjob.methods.registry import METHODS as PARAMETERS
from samples.images import CHECKPOINT, read
from tests.support.stage_data import FakeStageData
from tests.support.stages import apply_method

pytestmark = pytest.mark.real_data

LEARNED, MEASURED = 2000, 1000
TRAINING = {"epochs": 3, "batchSize": 64, "learningRate": "0.002"}


def pixels(images: np.ndarray) -> np.ndarray:
    return (images[:, None].astype(np.float32) / 255 - 0.5) / 0.5


def unlabelled_images(teacher: Artifact) -> FakeStageData:
    """Return unlabelled images for training and calibration."""
    images, _ = read("train")
    samples = SampleSet([{"pixel_values": image} for image in pixels(images[:LEARNED])], "sha256:0")
    return FakeStageData({"training": samples, "calibration": samples.only(list(range(64)))}, teacher=teacher)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tmp_path_factory.mktemp("resnet")
    for file in CHECKPOINT.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return seal(place, "transformers", "image-classification")


def accuracy(artifact: Artifact) -> float:
    images, labels = read("t10k")
    model: Any = load_model(artifact.path, artifact.task)
    with torch.no_grad():
        logits = model(torch.from_numpy(pixels(images[:MEASURED]))).logits
    return float((logits.argmax(1).numpy() == labels[:MEASURED]).mean())


def zeros(artifact: Artifact) -> float:
    return sparsity(load_model(artifact.path, artifact.task))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("prune", {"method": "magnitude", "sparsity": "0.7"}),
        ("prune", {"method": "wanda", "sparsity": "0.7"}),
        ("prune", {"method": "sparsegpt", "sparsity": "0.7"}),
        ("prune", {"method": "structured", "structure": "channels", "sparsity": "0.4"}),
        ("factorize", {"method": "tucker", "budget": "0.25"}),
        ("factorize", {"method": "cp", "budget": "0.25"}),
    ],
    ids=lambda value: value.get("method") if isinstance(value, dict) else value,
)
def test_recovery_restores_half_of_the_lost_accuracy(
    resnet: Artifact, tmp_path: Path, method: str, parameters: dict[str, Any]
) -> None:
    data = unlabelled_images(resnet)
    for name in ("lossy", "recovered"):
        (tmp_path / name).mkdir()
    context = StageContext(tmp_path / "lossy", "spec.pipeline[0]", data=data)
    lossy = apply_method(method, resnet, PARAMETERS[method].model_validate(parameters), context).artifact
    context = StageContext(tmp_path / "recovered", "spec.pipeline[1].recover", data=data)
    outcome = METHODS["recover", ""].run(lossy, Recover.model_validate({"training": TRAINING}), context)
    assert outcome.details["heldBack"]["kept"]
    before, after, original = accuracy(lossy), accuracy(outcome.artifact), accuracy(resnet)
    assert original - after < 0.5 * (original - before), f"{original} -> {before} -> {after}"
    assert outcome.artifact.format == lossy.format
    if method == "prune" and parameters["method"] != "structured":
        assert zeros(outcome.artifact) >= zeros(lossy) > 0.6
