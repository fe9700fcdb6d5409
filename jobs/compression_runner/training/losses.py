"""What a learner is measured by while it learns: labels, and what a teacher answers on the same inputs.

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
"""How transformers calls what a model tells of its layers."""


def asks_labels(task: Task) -> bool:
    """Whether labels have to be given: a language model's are the tokens that follow."""
    return not TASKS[task].running_text


def label_loss(task: str, answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of logits (batch, classes); mean squared error of a regression (batch, 1).

    Labels of shape (batch, labels), a 0 or a 1 for each, have the binary cross entropy of each label.
    """
    if labels.dim() == 2:
        return functional.binary_cross_entropy_with_logits(answers, labels.to(answers.dtype))
    if task.endswith("regression"):
        return functional.mse_loss(answers.flatten(), labels.to(answers.dtype))
    return functional.cross_entropy(answers, labels)


def output_loss(
    task: str, student: torch.Tensor, teacher: torch.Tensor, temperature: float, *, several_labels: bool = False
) -> torch.Tensor:
    """How far a student's outputs are from its teacher's.

    Logits (samples or positions, classes): Kullback-Leibler divergence at a temperature, times its square so that
    gradients keep their size. Where a sample may have several labels, it is that of each label being set or not, and
    the mean over labels as in `label_loss`. Embeddings: one minus the cosine. Numbers: mean squared error.
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
    """A student with what it needs to learn from a teacher: projections of its hidden states to the teacher's width.

    With `several_labels` the outputs are one decision for each label, and not one class for each sample.
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
            self.projections.extend(_projection(mine, theirs).to(student.compute.device) for mine, theirs in pairs)

    def train(self, mode: bool = True) -> "Distillation":
        """The teacher stays as it is, whatever the student does."""
        super().train(mode)
        return self

    def loss(self, batch: Batch) -> torch.Tensor:
        """The weighted sum of all losses on one batch."""
        batch = batch.to(self._student.compute.device)
        with self._student.compute.autocast:
            return self._loss(batch)

    def _loss(self, batch: Batch) -> torch.Tensor:
        weights, task = self._losses, self._student.task
        answers, mine = self._run(self._student, batch)
        total = answers.new_zeros(())
        counts = self._counted(batch, answers)
        if weights.labels > 0:
            if not asks_labels(task) and counts is not None:
                tokens = batch.inputs[self._student.interface.inputs.index("input_ids")]
                total = total + weights.labels * next_token_loss(answers, tokens, counts)
            elif batch.labels is not None:
                total = total + weights.labels * label_loss(task, answers, batch.labels)
        if self._teacher is None or not weights.asks_teacher:
            return total
        with torch.no_grad():
            wanted, theirs = self._run(self._teacher, batch)
        if weights.output > 0:
            if counts is not None:
                answers, wanted = answers[counts], wanted[counts]
            several = self._several_labels
            loss = output_loss(task, answers, wanted, weights.temperature, several_labels=several)
            total = total + weights.output * loss
        if weights.hidden > 0:
            total = total + weights.hidden * self._hidden_loss(mine, theirs, batch)
        if weights.attention > 0:
            total = total + weights.attention * _attention_loss(mine, theirs)
        return total

    def _counted(self, batch: Batch, answers: torch.Tensor) -> torch.Tensor | None:
        """The positions that count; None where a sample has one answer."""
        if self._student.task not in SEQUENTIAL:
            return None
        return counted(batch.inputs, self._student.interface.inputs, answers)

    def _run(self, model: Trainable, batch: Batch) -> tuple[torch.Tensor, Any]:
        asked = {}
        if self._losses.hidden > 0:
            asked["output_hidden_states"] = True
        if self._losses.attention > 0:
            asked["output_attentions"] = True
        return model.outputs(batch.inputs, **asked)

    def _hidden_loss(self, mine: Any, theirs: Any, batch: Batch) -> torch.Tensor:
        pairs = self._pairs(states_of(mine), states_of(theirs))
        mask = _mask(self._student, batch)
        found = [
            _distance(projection(state), target, mask)
            for projection, (state, target) in zip(self.projections, pairs, strict=True)
        ]
        return torch.stack(found).mean()

    @staticmethod
    def _pairs(mine: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each state of the student with the teacher's at the same share of the depth."""
        last = max(1, len(mine) - 1)
        chosen = [theirs[round(index * (len(theirs) - 1) / last)] for index in range(len(mine))]
        return list(zip(mine, chosen, strict=True))


class NoStates(Exception):
    """A model that tells no hidden states, or no attention maps, of one stack of layers: an encoder with a decoder."""

    def __init__(self, states: States) -> None:
        super().__init__(states)
        self.states: Final = states


def states_of(outputs: Any, name: States = "hidden_states") -> Sequence[torch.Tensor]:
    """Hidden states or attention maps, layer by layer, that a model was asked for. Raises NoStates."""
    states: Sequence[torch.Tensor] | None = getattr(outputs, name, None)
    if not states:
        raise NoStates(name)
    return states


class _Convolution(torch.nn.Module):
    """Feature maps to the teacher's channels, pooled to its size where the student's maps are larger or smaller."""

    def __init__(self, channels: int, target: torch.Size) -> None:
        super().__init__()
        self.map = torch.nn.Conv2d(channels, target[1], 1)
        self.size = (int(target[2]), int(target[3]))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mapped: torch.Tensor = self.map(maps)
        return mapped if mapped.shape[2:] == self.size else functional.adaptive_avg_pool2d(mapped, self.size)


def _projection(mine: torch.Tensor, theirs: torch.Tensor) -> torch.nn.Module:
    """From the student's states to the teacher's shape; nothing where they have it already."""
    if mine.dim() == 4:
        same = mine.shape[1:] == theirs.shape[1:]
        return torch.nn.Identity() if same else _Convolution(int(mine.shape[1]), theirs.shape)
    width, wanted = int(mine.shape[-1]), int(theirs.shape[-1])
    return torch.nn.Identity() if width == wanted else torch.nn.Linear(width, wanted)


def _mask(model: Trainable, batch: Batch) -> torch.Tensor | None:
    """1 for tokens and 0 for what fills up, (batch, sequence); None where every position counts."""
    names = model.interface.inputs
    return batch.inputs[names.index("attention_mask")] if "attention_mask" in names else None


def _distance(state: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean squared error over what counts."""
    if mask is None or state.dim() != 3 or state.shape[1] != mask.shape[1]:
        return functional.mse_loss(state, target)
    weights = mask.to(state.dtype).unsqueeze(-1)
    return ((state - target).square() * weights).sum() / (weights.sum() * state.shape[-1]).clamp(min=1.0)


def _attention_loss(mine: Any, theirs: Any) -> torch.Tensor:
    """Mean squared error of attention maps, averaged over heads since the student may have fewer of them."""
    pairs = Distillation._pairs(states_of(mine, "attentions"), states_of(theirs, "attentions"))
    return torch.stack([functional.mse_loss(a.mean(1), b.mean(1)) for a, b in pairs]).mean()


@dataclass(frozen=True)
class Score:
    """How good a model is on samples that it does not learn from, in [0, 1], and what that number is."""

    value: float
    what: str


def score(
    model: Trainable, teacher: Trainable | None, batches: Sequence[Batch], *, several_labels: bool = False
) -> Score:
    """Accuracy where there are labels, otherwise agreement with the teacher (same class or token, or mean cosine).

    With `several_labels` for a sample it counts label by label. Numbers are compared by Pearson's correlation with the
    teacher's, or with the labels where there is no teacher.
    """
    if TASKS[model.task].predicts_number:
        return _correlation(model, teacher, batches)
    good, count, what = 0.0, 0, "agreement"
    classifies = model.task.endswith("classification")
    with torch.no_grad():
        for given in batches:
            batch = given.to(model.compute.device)
            answers = model.outputs(batch.inputs)[0]
            if classifies and batch.labels is not None:
                good, what = good + _right(answers, batch.labels), "accuracy"
            elif teacher is not None:
                wanted = teacher.outputs(batch.inputs)[0].to(answers.device)
                if several_labels:
                    good, count = good + _right(answers, (wanted > 0).long()), count + len(answers)
                    continue
                same = answers.argmax(-1) == wanted.argmax(-1)
                if model.task in SEQUENTIAL:
                    counts = counted(batch.inputs, model.interface.inputs, answers)
                    good, count = good + float(same[counts].sum()), count + int(counts.sum()) - len(answers)
                else:
                    alike = same if classifies else functional.cosine_similarity(answers, wanted, dim=-1)
                    good += float(alike.sum())
            count += len(answers)
    return Score(good / max(1, count), what)


def _right(answers: torch.Tensor, labels: torch.Tensor) -> float:
    """How many samples of a batch are answered right; of several labels, the sum of the shares that are."""
    if labels.dim() == 2:
        return float(((answers > 0) == labels.bool()).float().mean(1).sum())
    return float((answers.argmax(-1) == labels).sum())


def _correlation(model: Trainable, teacher: Trainable | None, batches: Sequence[Batch]) -> Score:
    """How numbers go together with the teacher's or the labels', 0 where they go apart; 1 where neither side varies."""
    mine: list[torch.Tensor] = []
    wanted: list[torch.Tensor] = []
    with torch.no_grad():
        for given in batches:
            batch = given.to(model.compute.device)
            mine.append(model.outputs(batch.inputs)[0].flatten().cpu())
            target = teacher.outputs(batch.inputs)[0] if teacher is not None else batch.labels
            if target is not None:
                wanted.append(target.flatten().float().cpu())
    if not wanted:
        return Score(0.0, "correlation")
    pair = torch.stack([torch.cat(mine), torch.cat(wanted)]).double()
    spread = pair - pair.mean(1, keepdim=True)
    varies = spread.norm(dim=1) > 1e-12 * pair.norm(dim=1)
    if not bool(varies.all()):
        return Score(float(not bool(varies.any())), "correlation")
    found = functional.cosine_similarity(spread[0], spread[1], dim=0)
    return Score(max(0.0, float(found)), "correlation")
