"""Training turns errors of the model, its data or the settings into refusals, but not errors of its own code."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.stages.method import StageContext
from compression_runner.training import model
from compression_runner.training import trainer as trainers
from compression_runner.training.trainer import Trainer
from compressionjob.methods.losses import Losses
from compressionjob.methods.training import Training
from tests.support import tiny_models
from tests.support.stage_data import CLASSES, labelled_tokens

FIELD = "spec.pipeline[0].distill"
LABELS = Losses(output=0.0, labels=1.0)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tiny_models.bert(tmp_path_factory.mktemp("models") / "classifier", labels=CLASSES)
    return seal(place, "transformers", "text-classification")


def trainer_on(classifier: Artifact) -> Trainer:
    return Trainer(model.load(classifier), None, labelled_tokens(), Training(max_steps=2))


def test_a_loss_that_is_not_finite_names_the_step(classifier: Artifact, tmp_path: Path) -> None:
    trainer = trainer_on(classifier)
    with torch.no_grad():
        next(trainer.student.module.parameters()).fill_(float("inf"))
    with pytest.raises(BadRecipe, match=r"the loss is nan at step 0; choose a smaller") as refused:
        trainer.train(LABELS, StageContext(tmp_path, FIELD))
    assert (refused.value.reason, refused.value.field) == ("TrainingDiverged", f"{FIELD}.training.learningRate")


def test_an_internal_error_is_not_reported_as_divergence(
    classifier: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(trainers, "train", fail)
    with pytest.raises(ValueError, match="a bug"):
        trainer_on(classifier).train(LABELS, StageContext(tmp_path, FIELD))


def test_labels_of_unknown_classes_name_the_row(classifier: Artifact) -> None:
    data = labelled_tokens()
    assert data.labels is not None
    labels = np.where(np.arange(len(data)) == 5, CLASSES, data.labels)
    with pytest.raises(InvalidInput, match=rf"columns\.label: '{CLASSES}': the model has {CLASSES} classes.*row 5"):
        Trainer(model.load(classifier), None, replace(data, labels=labels), Training())


def test_a_model_that_fails_on_the_data_reports_the_cause(classifier: Artifact) -> None:
    student = model.load(classifier)
    beyond = torch.full((1, 4), 10_000)
    with pytest.raises(BadRecipe, match=r"BertForSequenceClassification.*does not run on the data: index out of range"):
        student.outputs((beyond, torch.ones_like(beyond), torch.zeros_like(beyond)))
