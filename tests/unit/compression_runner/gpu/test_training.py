"""A training with a watched GPU: the stage reports it, and the result is the same."""

from pathlib import Path

import pytest
import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.gpu import watch
from compression_runner.training.compute import Compute, fastest
from compressionjob.methods.distill import Distill
from compressionjob.methods.losses import Losses
from compressionjob.methods.training import Training
from tests.support import tiny_models
from tests.support.nvml.driver import GPU_IS_LOST, UUID, Driver
from tests.support.stages import run_stage

SETTINGS = Training(epochs=2, batch_size=8, learning_rate=0.01)
PARAMETERS = Distill(losses=Losses(output=0.0, labels=1.0), training=SETTINGS)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tiny_models.bert(tmp_path_factory.mktemp("models") / "classifier", labels=3)
    return seal(place, "transformers", "text-classification")


@pytest.fixture
def on_a_gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Training on this machine's CPU that torch calls a GPU; each step is looked at."""
    monkeypatch.setattr(Compute, "gpu", UUID)
    monkeypatch.setattr(watch, "EVERY", 0.0)
    return driver


def test_a_training_reports_energy_and_other_processes(
    classifier: Artifact, tmp_path: Path, on_a_gpu: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halfway(fraction: float) -> None:
        on_a_gpu.say(energy=5_000_000 + round(fraction * 1_000_000))
        if fraction > 0.5:
            on_a_gpu.say(processes=[(1, 1 << 30), (2, 1 << 30)], reasons=0x20)

    trained = run_stage("distill", classifier, PARAMETERS, tmp_path / "watched", advance=halfway)
    gpu = trained.details["gpu"]
    assert gpu["energyJoules"] == 1000.0
    assert gpu["mostOtherProcesses"] == 1
    assert 0 < gpu["sharedLooks"] < gpu["looks"]
    assert gpu["looks"] == trained.details["steps"] + 1
    assert [note.split(" in ")[0] for note in gpu["notes"]] == [
        "the GPU was throttled",
        "other processes were on the GPU",
    ]
    assert on_a_gpu.times_open == 0
    monkeypatch.setattr(Compute, "gpu", None)
    alone = run_stage("distill", classifier, PARAMETERS, tmp_path / "alone")
    assert "gpu" not in alone.details
    assert alone.artifact.digest == trained.artifact.digest


def test_a_failing_driver_does_not_end_a_training(classifier: Artifact, tmp_path: Path, on_a_gpu: Driver) -> None:
    lost = run_stage(
        "distill",
        classifier,
        PARAMETERS,
        tmp_path / "lost",
        advance=lambda fraction: on_a_gpu.say(every_call=GPU_IS_LOST if fraction > 0.5 else None),
    )
    assert lost.details["losses"]
    assert 0 < lost.details["gpu"]["looks"] < lost.details["steps"]
    assert "energyJoules" not in lost.details["gpu"]


def test_a_diverging_training_releases_the_driver(classifier: Artifact, tmp_path: Path, on_a_gpu: Driver) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(BadRecipe):
        run_stage("distill", classifier, PARAMETERS.model_copy(update={"training": settings}), tmp_path / "diverged")
    assert on_a_gpu.times_open == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has a GPU")
def test_a_training_on_a_cpu_reports_no_gpu() -> None:
    compute = fastest("float32")
    assert compute.gpu is None
    assert compute.own_bytes() == 0
