"""The steps that all training stages share: hold data out, train, and score the student on the held-out data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.gpu.watch import watching
from compression_runner.stages.method import StageContext
from compression_runner.training.batches import Batch, TrainingBatches
from compression_runner.training.compute import fastest
from compression_runner.training.holdout import batches_for_task, split_holdout
from compression_runner.training.loop import Diverged, TrainingCheckpoints, TrainingResult, train
from compression_runner.training.losses import Distillation, HoldoutScore, MissingStates, needs_labels, score
from compression_runner.training.model import Trainable
from compression_runner.training.positions import slices
from compressionjob.methods.losses import Losses
from compressionjob.methods.training import Training
from compressionjob.tasks import TASKS, Task


@dataclass(frozen=True)
class Trainer:
    """Train a student with a teacher (None: with labels alone) on training data.

    Both models move to the GPU if there is one; saving a model moves it back.
    """

    student: Trainable
    teacher: Trainable | None
    data: SampleSet
    settings: Training

    def __post_init__(self) -> None:
        compute = fastest(self.settings.precision)
        for model in (self.student, self.teacher):
            if model is not None:
                model.move(compute)
        self._require_known_classes()

    def _require_known_classes(self) -> None:
        """Raise InvalidInput for labels of classes that the student does not have."""
        labels, classes = self.data.labels, getattr(self.student.inner.config, "num_labels", None)
        if labels is None or labels.ndim != 1 or not self.student.task.endswith("classification") or not classes:
            return
        if int(labels.max()) >= classes:
            row, problem = int(labels.argmax()), f"the model has {classes} classes, numbered from 0"
            remedy = f"correct the labels; row {row} has the first of these"
            raise InvalidInput("InvalidData", "spec.data.training.columns.label", int(labels.max()), problem, remedy)

    @cached_property
    def _parts(self) -> tuple[SampleSet, SampleSet]:
        return split_holdout(self.data)

    @cached_property
    def held_out(self) -> list[Batch]:
        """The held-out samples in batches."""
        return batches_for_task(self._parts[1], self.student.interface.inputs, self.student.task)

    def score(self, model: Trainable | None = None) -> HoldoutScore:
        """Return the score of the student (or another model) on the held-out samples."""
        several = self._several_labels
        return score(model or self.student, self.teacher, self.held_out, several_labels=several)

    def loss(self, weights: Losses) -> float:
        """Return the mean loss of the student on the held-out samples, a finer measure than the score."""
        learner = self._learner(weights, self.held_out[0])
        with torch.no_grad():
            losses = [float(learner.loss(batch)) * len(batch.inputs[0]) for batch in self.held_out]
        return sum(losses) / len(self._parts[1])

    def train(
        self,
        losses: Losses,
        context: StageContext,
        after_step: Callable[[], None] = lambda: None,
        enough: Callable[[], bool] = lambda: False,
    ) -> TrainingResult:
        """Train the student in place, and sample the use of its GPU if it has one.

        Raises BadRecipe if the training diverges, and for losses on states that the models lack.
        """
        settings = self.settings
        inputs, training_samples = self.student.interface.inputs, self._parts[0]
        batches = TrainingBatches(training_samples, inputs, settings.batch_size, settings.seed, settings.augment)
        checkpoints = TrainingCheckpoints(context.checkpoint_dir, context.checkpoint_saved, context.advance)
        compute = self.student.compute
        try:
            learner = self._learner(losses, batches.of_rows([0]))
            with watching(compute.gpu, own_bytes=compute.own_bytes) as watch:

                def on_step() -> None:
                    after_step()
                    watch.step()

                trained = train(learner, batches, learner.loss, settings, checkpoints, on_step, enough, self._slices)
                self.student.round_to_stored()
                return replace(trained, gpu=watch.to_report())
        except MissingStates as error:
            name = "hidden" if error.states == "hidden_states" else "attention"
            kind = type(self.student.inner).__name__
            problem = f"a model with an encoder and a decoder returns no {error.states} of a single stack"
            where = f"{context.field}.losses.{name}"
            raise BadRecipe("UnsupportedModel", where, kind, problem, "use losses.output") from error
        except torch.OutOfMemoryError as error:
            value, problem = settings.batch_size, "the GPU has too little memory for a step of so many samples"
            less = "choose a smaller training.batchSize, or a runtime with more memory"
            raise BadRecipe("OutOfMemory", f"{context.field}.training.batchSize", value, problem, less) from error
        except Diverged as error:
            where, rate = f"{context.field}.training.learningRate", settings.learning_rate
            remedy = "choose a smaller training.learningRate, or a longer training.warmup"
            raise BadRecipe("TrainingDiverged", where, rate, error.problem, remedy) from error

    @property
    def _several_labels(self) -> bool:
        return self.data.multi_label is not None

    def _learner(self, losses: Losses, example: Batch) -> Distillation:
        return Distillation(self.student, self.teacher, losses, example, several_labels=self._several_labels)

    def _slices(self, batch: Batch) -> list[tuple[Batch, float]]:
        return slices(batch, self.student.interface.inputs, self.student.task)

    def holdout_details(self, before: HoldoutScore, after: HoldoutScore, **more: Any) -> dict[str, Any]:
        """Return the scores on the held-out samples for the details of the stage."""
        size, metric = len(self._parts[1]), after.metric
        return {"heldBack": {"samples": size, "score": metric, "before": before.value, "after": after.value} | more}


def require_labels(data: SampleSet, task: Task, field: str, value: object, remedy: str) -> None:
    """Raise BadRecipe for data without the labels that the task needs."""
    if data.labels is None and needs_labels(task):
        problem = "the training data has no labels"
        if task.endswith(("classification", "regression")):
            column = "label" if TASKS[task].classifies else "target"
            remedy = f"name their column in spec.data.training.columns.{column}, or {remedy}"
        raise BadRecipe("NoLabels", field, value, problem, remedy)
