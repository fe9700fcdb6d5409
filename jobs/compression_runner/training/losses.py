"""Training losses: on labels, and on the outputs and states of a teacher for the same inputs.

Outputs by temperature: Hinton et al. 2015 (arXiv:1503.02531). Hidden states through a learned projection and attention
maps: TinyBERT, Jiao et al. 2019 (arXiv:1909.10351). Feature maps of convolutional networks: FitNets, Romero et al. 2014
(arXiv:1412.6550). Outputs of several labels, each by itself: Yang et al. 2023 (arXiv:2308.06453).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch.nn import functional

from compression_runner.training.batches import Batch
from compression_runner.training.model import Trainable
from compression_runner.training.positions import SEQUENTIAL, counted, next_token_loss
from compressionjob.methods.losses import Losses
from compressionjob.tasks import TASKS, Task

States = Literal["hidden_states", "attentions"]
"""The names in transformers of the states of the layers of a model."""


def needs_labels(task: Task) -> bool:
    """Return whether the task needs labels in the data; a language model learns from the next tokens."""
    return not TASKS[task].running_text


def label_loss(task: str, answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of logits (batch, classes), or the mean squared error of a regression (batch, 1).

    For labels of shape (batch, labels), each 0 or 1, it is the binary cross entropy of each label.
    """
    if labels.dim() == 2:
        return functional.binary_cross_entropy_with_logits(answers, labels.to(answers.dtype))
    if task.endswith("regression"):
        return functional.mse_loss(answers.flatten(), labels.to(answers.dtype))
    return functional.cross_entropy(answers, labels)


def output_loss(
    task: str, student: torch.Tensor, teacher: torch.Tensor, temperature: float, *, several_labels: bool = False
) -> torch.Tensor:
    """Return the loss of the outputs of a student against those of its teacher.

    Logits (samples or positions, classes): Kullback-Leibler divergence at a temperature, times the square of the
    temperature so that gradients keep their scale. With `several_labels`: the divergence of each label, averaged over
    labels as in `label_loss`. Embeddings: one minus the cosine. Numbers: mean squared error.
    """
    if several_labels:
        target = torch.sigmoid(teacher / temperature)
        least = functional.binary_cross_entropy_with_logits(teacher / temperature, target)
        return (functional.binary_cross_entropy_with_logits(student / temperature, target) - least) * temperature**2
    if task.endswith("classification") or task in SEQUENTIAL:
        soft = functional.log_softmax(student / temperature, dim=-1)
        target = functional.log_softmax(teacher / temperature, dim=-1)
        return functional.kl_div(soft, target, reduction="batchmean", log_target=True) * temperature**2
    if task == "text-embedding":
        return (1.0 - functional.cosine_similarity(student, teacher, dim=-1)).mean()
    return functional.mse_loss(student, teacher)


class Distillation(torch.nn.Module):
    """A student and its projections of hidden states to the width of the teacher.

    With `several_labels` the outputs are one decision per label instead of one class per sample.
    """

    def __init__(
        self,
        student: Trainable,
        teacher: Trainable | None,
        losses: Losses,
        example: Batch,
        *,
        several_labels: bool = False,
    ) -> None:
        super().__init__()
        self.student = student.module
        self._several_labels = several_labels
        self._student, self._teacher, self._losses = student, teacher, losses
        self.projections = torch.nn.ModuleList()
        if teacher is not None and losses.hidden > 0:
            with torch.no_grad():
                pairs = self._pairs(*(states_of(self._run(model, example)[1]) for model in (student, teacher)))
            self.projections.extend(
                _projection(student_outputs, teacher_outputs).to(student.compute.device)
                for student_outputs, teacher_outputs in pairs
            )

    def train(self, mode: bool = True) -> "Distillation":
        """Set the mode of the student; the teacher stays in evaluation mode."""
        super().train(mode)
        return self

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the weighted sum of all losses on one batch."""
        batch = batch.to(self._student.compute.device)
        with self._student.compute.autocast:
            return self._loss(batch)

    def _loss(self, batch: Batch) -> torch.Tensor:
        weights, task = self._losses, self._student.task
        answers, student_outputs = self._run(self._student, batch)
        total = answers.new_zeros(())
        counts = self._counted(batch, answers)
        if weights.labels > 0:
            if not needs_labels(task) and counts is not None:
                tokens = batch.inputs[self._student.interface.inputs.index("input_ids")]
                total = total + weights.labels * next_token_loss(answers, tokens, counts)
            elif batch.labels is not None:
                total = total + weights.labels * label_loss(task, answers, batch.labels)
        if self._teacher is None or not weights.needs_teacher:
            return total
        with torch.no_grad():
            wanted, teacher_outputs = self._run(self._teacher, batch)
        if weights.output > 0:
            if counts is not None:
                answers, wanted = answers[counts], wanted[counts]
            several = self._several_labels
            loss = output_loss(task, answers, wanted, weights.temperature, several_labels=several)
            total = total + weights.output * loss
        if weights.hidden > 0:
            total = total + weights.hidden * self._hidden_loss(student_outputs, teacher_outputs, batch)
        if weights.attention > 0:
            total = total + weights.attention * _attention_loss(student_outputs, teacher_outputs)
        return total

    def _counted(self, batch: Batch, answers: torch.Tensor) -> torch.Tensor | None:
        """Return the positions that count; None if a sample has one output."""
        if self._student.task not in SEQUENTIAL:
            return None
        return counted(batch.inputs, self._student.interface.inputs, answers)

    def _run(self, model: Trainable, batch: Batch) -> tuple[torch.Tensor, Any]:
        requested = {}
        if self._losses.hidden > 0:
            requested["output_hidden_states"] = True
        if self._losses.attention > 0:
            requested["output_attentions"] = True
        return model.outputs(batch.inputs, **requested)

    def _hidden_loss(self, student_outputs: Any, teacher_outputs: Any, batch: Batch) -> torch.Tensor:
        pairs = self._pairs(states_of(student_outputs), states_of(teacher_outputs))
        mask = _mask(self._student, batch)
        distances = [
            _distance(projection(state), target, mask)
            for projection, (state, target) in zip(self.projections, pairs, strict=True)
        ]
        return torch.stack(distances).mean()

    @staticmethod
    def _pairs(
        student_outputs: Sequence[torch.Tensor], teacher_outputs: Sequence[torch.Tensor]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Pair each state of the student with the state of the teacher at the same relative depth."""
        last = max(1, len(student_outputs) - 1)
        chosen = [
            teacher_outputs[round(index * (len(teacher_outputs) - 1) / last)] for index in range(len(student_outputs))
        ]
        return list(zip(student_outputs, chosen, strict=True))


class MissingStates(Exception):
    """The model returns no hidden states or attention maps of a single stack: it has an encoder and a decoder."""

    def __init__(self, states: States) -> None:
        super().__init__(states)
        self.states: Final = states


def states_of(outputs: Any, name: States = "hidden_states") -> Sequence[torch.Tensor]:
    """Return the hidden states or attention maps of each layer. Raises MissingStates."""
    states: Sequence[torch.Tensor] | None = getattr(outputs, name, None)
    if not states:
        raise MissingStates(name)
    return states


class _Convolution(torch.nn.Module):
    """Project feature maps to the channels of the teacher, and pool them to its size if they differ."""

    def __init__(self, channels: int, target: torch.Size) -> None:
        super().__init__()
        self.map = torch.nn.Conv2d(channels, target[1], 1)
        self.size = (int(target[2]), int(target[3]))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mapped: torch.Tensor = self.map(maps)
        return mapped if mapped.shape[2:] == self.size else functional.adaptive_avg_pool2d(mapped, self.size)


def _projection(student_outputs: torch.Tensor, teacher_outputs: torch.Tensor) -> torch.nn.Module:
    """Return a projection of states of the student to the shape of the teacher's; the identity for equal shapes."""
    if student_outputs.dim() == 4:
        same = student_outputs.shape[1:] == teacher_outputs.shape[1:]
        return torch.nn.Identity() if same else _Convolution(int(student_outputs.shape[1]), teacher_outputs.shape)
    width, wanted = int(student_outputs.shape[-1]), int(teacher_outputs.shape[-1])
    return torch.nn.Identity() if width == wanted else torch.nn.Linear(width, wanted)


def _mask(model: Trainable, batch: Batch) -> torch.Tensor | None:
    """Return 1 for tokens and 0 for padding, (batch, sequence); None if every position counts."""
    names = model.interface.inputs
    return batch.inputs[names.index("attention_mask")] if "attention_mask" in names else None


def _distance(state: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the mean squared error over the positions in the mask."""
    if mask is None or state.dim() != 3 or state.shape[1] != mask.shape[1]:
        return functional.mse_loss(state, target)
    weights = mask.to(state.dtype).unsqueeze(-1)
    return ((state - target).square() * weights).sum() / (weights.sum() * state.shape[-1]).clamp(min=1.0)


def _attention_loss(student_outputs: Any, teacher_outputs: Any) -> torch.Tensor:
    """Return the mean squared error of attention maps, averaged over heads: the student may have fewer heads."""
    pairs = Distillation._pairs(states_of(student_outputs, "attentions"), states_of(teacher_outputs, "attentions"))
    return torch.stack([functional.mse_loss(a.mean(1), b.mean(1)) for a, b in pairs]).mean()


@dataclass(frozen=True)
class HoldoutScore:
    """The score of a model on held-out samples, in [0, 1], and the name of the metric."""

    value: float
    metric: str


def score(
    model: Trainable, teacher: Trainable | None, batches: Sequence[Batch], *, several_labels: bool = False
) -> HoldoutScore:
    """Return accuracy if there are labels, otherwise agreement with the teacher (same class or token, or mean cosine).

    With `several_labels` it counts per label. Numbers have Pearson's correlation with those of the teacher, or with
    the labels if there is no teacher.
    """
    if TASKS[model.task].predicts_number:
        return _correlation(model, teacher, batches)
    sum_right, count, metric = 0.0, 0, "agreement"
    classifies = model.task.endswith("classification")
    with torch.no_grad():
        for given in batches:
            batch = given.to(model.compute.device)
            answers = model.outputs(batch.inputs)[0]
            if classifies and batch.labels is not None:
                sum_right, metric = sum_right + _right_count(answers, batch.labels), "accuracy"
            elif teacher is not None:
                wanted = teacher.outputs(batch.inputs)[0].to(answers.device)
                if several_labels:
                    sum_right, count = sum_right + _right_count(answers, (wanted > 0).long()), count + len(answers)
                    continue
                same = answers.argmax(-1) == wanted.argmax(-1)
                if model.task in SEQUENTIAL:
                    counts = counted(batch.inputs, model.interface.inputs, answers)
                    sum_right, count = sum_right + float(same[counts].sum()), count + int(counts.sum()) - len(answers)
                else:
                    alike = same if classifies else functional.cosine_similarity(answers, wanted, dim=-1)
                    sum_right += float(alike.sum())
            count += len(answers)
    return HoldoutScore(sum_right / max(1, count), metric)


def _right_count(answers: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the number of right answers in a batch; with several labels, the sum of the fractions of right labels."""
    if labels.dim() == 2:
        return float(((answers > 0) == labels.bool()).float().mean(1).sum())
    return float((answers.argmax(-1) == labels).sum())


def _correlation(model: Trainable, teacher: Trainable | None, batches: Sequence[Batch]) -> HoldoutScore:
    """Return Pearson's correlation with the teacher or the labels, at least 0; 1 if neither side varies."""
    predicted: list[torch.Tensor] = []
    wanted: list[torch.Tensor] = []
    with torch.no_grad():
        for given in batches:
            batch = given.to(model.compute.device)
            predicted.append(model.outputs(batch.inputs)[0].flatten().cpu())
            target = teacher.outputs(batch.inputs)[0] if teacher is not None else batch.labels
            if target is not None:
                wanted.append(target.flatten().float().cpu())
    if not wanted:
        return HoldoutScore(0.0, "correlation")
    pair = torch.stack([torch.cat(predicted), torch.cat(wanted)]).double()
    spread = pair - pair.mean(1, keepdim=True)
    varies = spread.norm(dim=1) > 1e-12 * pair.norm(dim=1)
    if not bool(varies.all()):
        return HoldoutScore(float(not bool(varies.any())), "correlation")
    correlation = functional.cosine_similarity(spread[0], spread[1], dim=0)
    return HoldoutScore(max(0.0, float(correlation)), "correlation")
