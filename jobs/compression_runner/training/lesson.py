"""What every stage that trains does: hold data back, teach, and see on what was held back whether it helped."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.gpu.watch import watching
from compression_runner.stages.method import StageContext
from compression_runner.training.batches import Batch, Batches
from compression_runner.training.compute import fastest
from compression_runner.training.holdout import for_task, hold_back
from compression_runner.training.loop import Diverged, Keeping, Trained, train
from compression_runner.training.losses import Distillation, NoStates, Score, asks_labels, score
from compression_runner.training.model import Trainable
from compression_runner.training.positions import slices
from compressionjob.methods.losses import Losses
from compressionjob.methods.training import Training
from compressionjob.tasks import TASKS, Task


@dataclass(frozen=True)
class Lesson:
    """A student, its teacher (None: labels alone), the training data and what to do with it.

    Both models are moved to where they are fastest; saving one moves it back.
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
        return hold_back(self.data)

    @cached_property
    def checks(self) -> list[Batch]:
        """What was held back, each sample once."""
        return for_task(self._parts[1], self.student.interface.inputs, self.student.task)

    def score(self, model: Trainable | None = None) -> Score:
        """How good the student (or another model) is now on what was held back."""
        several = self._several_labels
        return score(model or self.student, self.teacher, self.checks, several_labels=several)

    def loss(self, losses: Losses) -> float:
        """The student's mean loss on what was held back, which tells models apart that answer alike."""
        learner = self._learner(losses, self.checks[0])
        with torch.no_grad():
            found = [float(learner.loss(batch)) * len(batch.inputs[0]) for batch in self.checks]
        return sum(found) / len(self._parts[1])

    def teach(
        self,
        losses: Losses,
        context: StageContext,
        remedy: str,
        after_step: Callable[[], None] = lambda: None,
        enough: Callable[[], bool] = lambda: False,
    ) -> Trained:
        """Trains the student in place; what it works on is watched, where it is a GPU.

        Raises BadRecipe with the remedy where the training diverges, and where losses ask for what models do not tell.
        """
        settings = self.settings
        inputs, learned = self.student.interface.inputs, self._parts[0]
        batches = Batches(learned, inputs, settings.batch_size, settings.seed, settings.augment)
        keeping = Keeping(context.keep, context.kept, context.advance)
        compute = self.student.compute
        try:
            learner = self._learner(losses, batches.of_rows([0]))
            with watching(compute.gpu, own_bytes=compute.own_bytes) as watch:

                def stepped() -> None:
                    after_step()
                    watch.step()

                trained = train(learner, batches, learner.loss, settings, keeping, stepped, enough, self._slices)
                self.student.settle()
                return replace(trained, gpu=watch.told())
        except NoStates as error:
            name = "hidden" if error.states == "hidden_states" else "attention"
            kind = type(self.student.inner).__name__
            problem = f"a model with an encoder and a decoder tells no {error.states}"
            where = f"{context.field}.losses.{name}"
            raise BadRecipe("UnsupportedModel", where, kind, problem, "use losses.output") from error
        except torch.OutOfMemoryError as error:
            value, problem = settings.batch_size, "the GPU has too little memory for a step of so many samples"
            less = "choose a smaller training.batchSize, or a runtime with more memory"
            raise BadRecipe("OutOfMemory", f"{context.field}.training.batchSize", value, problem, less) from error
        except Diverged as error:
            raise BadRecipe("TrainingDiverged", context.field, settings.learning_rate, str(error), remedy) from error

    @property
    def _several_labels(self) -> bool:
        return self.data.multi_label is not None

    def _learner(self, losses: Losses, example: Batch) -> Distillation:
        return Distillation(self.student, self.teacher, losses, example, several_labels=self._several_labels)

    def _slices(self, batch: Batch) -> list[tuple[Batch, float]]:
        return slices(batch, self.student.interface.inputs, self.student.task)

    def held_back(self, before: Score, after: Score, **more: Any) -> dict[str, Any]:
        """What the stage's details tell of the samples that were held back."""
        told = {"samples": len(self._parts[1]), "score": after.what, "before": before.value, "after": after.value}
        return {"heldBack": told | more}


def require_labels(data: SampleSet, task: Task, field: str, value: object, remedy: str) -> None:
    """Raises BadRecipe where there are no labels to learn from."""
    if data.labels is None and asks_labels(task):
        problem = "the training data has no labels"
        if task.endswith(("classification", "regression")):
            column = "label" if TASKS[task].classifies else "target"
            remedy = f"name their column in spec.data.training.columns.{column}, or {remedy}"
        raise BadRecipe("NoLabels", field, value, problem, remedy)
