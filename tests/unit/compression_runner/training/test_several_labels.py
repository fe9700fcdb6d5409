"""Training of models with several labels per sample, and of regressions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.training import model
from compression_runner.training.holdout import all_batches
from compression_runner.training.losses import output_loss, score
from compressionjob.methods.distill import Distill
from compressionjob.methods.losses import Losses
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.recover import Recover
from compressionjob.methods.registry import Quantize
from compressionjob.methods.training import Training
from tests.support import tiny_models
from tests.support.stage_data import CLASSES, labelled_tokens
from tests.support.stages import run_stage

SETTINGS = Training(epochs=3, batch_size=8, learning_rate=0.03)
TOKENS = replace(labelled_tokens(), labels=None, multi_label=MultiLabel(logits=True))
ONE_CLASS = replace(TOKENS, multi_label=None)
EVERY: Sequence[tuple[str, Parameters]] = [
    ("distill", Distill(training=SETTINGS)),
    ("recover", Recover(training=SETTINGS)),
    ("quantize", Quantize(method="qat", dtype="int8", training=SETTINGS)),
]


def classifier(place: Path, *, shift: float = 0.0, labels: int = CLASSES) -> Artifact:
    """Return a classifier with all logits shifted, which a softmax ignores."""
    tiny_models.bert(place, labels=labels)
    task: Any = "text-classification" if labels > 1 else "text-regression"
    artifact = seal(place, "transformers", task)
    if not shift:
        return artifact
    student = model.load(artifact)
    with torch.no_grad():
        student.inner.classifier.bias += shift  # type: ignore[union-attr,operator]
    (place.parent / "shifted").mkdir()
    return model.save(student, artifact, place.parent / "shifted")


def test_the_loss_is_the_divergence_of_each_label() -> None:
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    expected = kl_divergence(Bernoulli(logits=teacher / 2), Bernoulli(logits=student / 2)).mean() * 4
    task = "text-classification"
    assert output_loss(task, student, teacher, 2.0, several_labels=True) == pytest.approx(float(expected), abs=1e-6)
    assert float(output_loss(task, teacher + 3, teacher, 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(output_loss(task, teacher + 3, teacher, 2.0, several_labels=True)) > 0.5


@pytest.mark.parametrize(("method", "parameters"), EVERY, ids=[method for method, _ in EVERY])
def test_every_training_method_learns_each_label(method: str, parameters: Parameters, tmp_path: Path) -> None:
    held, losses = train(method, parameters, tmp_path, TOKENS)
    assert held["before"] < 0.9
    assert losses[-1] < 0.2 * losses[0]


def test_single_label_models_learn_by_softmax(tmp_path: Path) -> None:
    held, losses = train("distill", Distill(training=SETTINGS), tmp_path, ONE_CLASS)
    assert held["before"] == 1.0
    assert losses[0] < 0.001


def train(method: str, parameters: Parameters, place: Path, data: SampleSet) -> tuple[dict[str, Any], list[float]]:
    """Return the details of the held-out samples, and the losses, of a student with shifted logits."""
    teacher, student = classifier(place / "teacher"), classifier(place / "student", shift=1.0)
    outcome = run_stage(method, student, parameters, place / "out", teacher=teacher, data=data)
    return outcome.details["heldBack"], outcome.details["losses"]


def test_agreement_counts_each_label(tmp_path: Path) -> None:
    teacher, student = (
        model.load(classifier(tmp_path / name, shift=shift)) for name, shift in (("a", 0.0), ("b", 3.0))
    )
    (batch,) = all_batches(TOKENS.only(range(8)), teacher.interface.inputs)
    sides = [side.outputs(batch.inputs)[0] > 0 for side in (student, teacher)]
    result = score(student, teacher, [batch], several_labels=True)
    assert result.value == pytest.approx(float((sides[0] == sides[1]).float().mean()))
    assert result.value < 1.0 == score(student, teacher, [batch]).value


def test_regressions_learn_by_squared_error(tmp_path: Path) -> None:
    teacher = classifier(tmp_path / "teacher", labels=1)
    student = classifier(tmp_path / "student", shift=1.0, labels=1)
    wanted = Distill(training=SETTINGS, losses=Losses(temperature=4.0))
    outcome = run_stage("distill", student, wanted, tmp_path / "out", teacher=teacher, data=ONE_CLASS)
    # The mean squared error of a shift of 1, whatever the temperature of classes is.
    assert outcome.details["losses"][0] == pytest.approx(1.0, abs=0.2)
    assert outcome.details["losses"][-1] < 0.2
