"""What a model, its data or the settings make training raise is a refusal; an error of our own is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.stages.method import StageContext
from compression_runner.training import lesson as lessons
from compression_runner.training import model
from compression_runner.training.lesson import Lesson
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


def lesson_on(classifier: Artifact) -> Lesson:
    return Lesson(model.load(classifier), None, labelled_tokens(), Training(max_steps=2))


def test_a_loss_that_is_not_finite_names_the_step(classifier: Artifact, tmp_path: Path) -> None:
    lesson = lesson_on(classifier)
    with torch.no_grad():
        next(lesson.student.module.parameters()).fill_(float("inf"))
    with pytest.raises(BadRecipe, match=r"the loss is nan at step 0; train less") as refused:
        lesson.teach(LABELS, StageContext(tmp_path, FIELD), "train less")
    assert (refused.value.reason, refused.value.field) == ("TrainingDiverged", FIELD)


def test_an_error_of_our_own_is_not_taken_for_a_divergence(
    classifier: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(lessons, "train", fail)
    with pytest.raises(ValueError, match="a bug"):
        lesson_on(classifier).teach(LABELS, StageContext(tmp_path, FIELD), "train less")


def test_labels_of_classes_that_the_model_lacks_name_the_row(classifier: Artifact) -> None:
    data = labelled_tokens()
    assert data.labels is not None
    labels = np.where(np.arange(len(data)) == 5, CLASSES, data.labels)
    with pytest.raises(InvalidInput, match=rf"columns\.label: '{CLASSES}': the model has {CLASSES} classes.*row 5"):
        Lesson(model.load(classifier), None, replace(data, labels=labels), Training())


def test_a_model_that_does_not_run_on_the_data_says_why(classifier: Artifact) -> None:
    student = model.load(classifier)
    beyond = torch.full((1, 4), 10_000)
    with pytest.raises(BadRecipe, match=r"BertForSequenceClassification.*does not run on the data: index out of range"):
        student.outputs((beyond, torch.ones_like(beyond), torch.zeros_like(beyond)))
