"""The training loop: bit-identical results with and without an interruption, thanks to checkpoints."""

import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from compression_runner.errors import Problem
from compression_runner.training.batches import Batch, TrainingBatches
from compressionjob.field_types import parse_duration
from compressionjob.methods.training import Training

STATE: Final = "state-"
Loss = Callable[[Batch], torch.Tensor]


class Diverged(Problem):
    """The loss of a training is no longer finite."""


@dataclass(frozen=True)
class TrainingCheckpoints:
    """The directory for the state of the loop (None: no checkpoints), and callbacks for checkpoints and progress."""

    directory: Path | None = None
    saved: Callable[[], None] = lambda: None
    advance: Callable[[float], None] = lambda _fraction: None


@dataclass
class TrainingResult:
    """The result of a training: its number of steps, the step at which it resumed, and losses at regular steps.

    `gpu` has measurements of the GPU since the resumed step; it is empty without a GPU.
    """

    steps: int
    resumed_at: int
    losses: list[float] = field(default_factory=list)
    gpu: dict[str, Any] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """Return the details for the report."""
        losses = [round(loss, 6) for loss in self.losses]
        details = {"steps": self.steps, "resumedAtStep": self.resumed_at, "losses": losses}
        return details | ({"gpu": self.gpu} if self.gpu else {})


def planned_steps(batches: TrainingBatches, settings: Training) -> int:
    """Return the number of steps that the settings ask for, without the time limit."""
    steps = settings.epochs * batches.steps_per_epoch
    return min(steps, settings.max_steps) if settings.max_steps else steps


def train(
    learner: torch.nn.Module,
    batches: TrainingBatches,
    loss_of: Loss,
    settings: Training,
    checkpoints: TrainingCheckpoints,
    after_step: Callable[[], None] = lambda: None,
    enough: Callable[[], bool] = lambda: False,
    slices: Callable[[Batch], Sequence[tuple[Batch, float]]] = lambda batch: [(batch, 1.0)],
) -> TrainingResult:
    """Train the parameters of `learner` that require a gradient, in place; leave it in evaluation mode.

    `slices` splits a batch into parts for gradient accumulation, each with its share of the loss. `after_step` runs
    after each step (to keep zeros at zero). After each epoch the training ends if `enough` returns true.
    Raises Diverged if the loss is not finite.
    """
    total = planned_steps(batches, settings)
    optimizer = _optimizer(learner, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total, settings.warmup))
    start, losses = _resume(learner, optimizer, schedule, checkpoints.directory)
    limit = parse_duration(settings.time_limit) if settings.time_limit else math.inf
    began, step = time.monotonic(), start
    learner.train(True)
    while step < total and time.monotonic() - began < limit:
        # Dropout depends on the step alone, so a resumed run draws the same masks.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for part, share in slices(batches.of_step(step)):
            partial = loss_of(part) * share
            partial.backward()  # type: ignore[no-untyped-call]
            loss += float(partial.detach())
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss} at step {step}")
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        after_step()
        step += 1
        if step % max(1, total // 50) == 0:
            losses.append(loss)
        if step % settings.checkpoint_every == 0 and step < total:
            _save_checkpoint(learner, optimizer, schedule, step, losses, checkpoints)
        checkpoints.advance(step / total)
        if step % batches.steps_per_epoch == 0 and step < total and _is_enough(learner, enough):
            break
    learner.train(False)
    return TrainingResult(step, start, losses)


def _is_enough(learner: torch.nn.Module, enough: Callable[[], bool]) -> bool:
    learner.train(False)
    try:
        return enough()
    finally:
        learner.train(True)


def _optimizer(learner: torch.nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Return AdamW with weight decay for matrices, not for biases and norms."""
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate)


def _rate(step: int, total: int, warmup: int) -> float:
    """Return the fraction of the peak learning rate at a step: linear warmup, then cosine decay."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def _save_checkpoint(
    learner: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    step: int,
    losses: list[float],
    checkpoints: TrainingCheckpoints,
) -> None:
    if checkpoints.directory is None:
        return
    state = {
        "step": step,
        "losses": losses,
        "learner": learner.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    target = checkpoints.directory / f"{STATE}{step:09d}.pt"
    partial = checkpoints.directory / f".{target.name}"
    _write(state, partial)
    partial.replace(target)
    for older in checkpoints.directory.glob(f"{STATE}*.pt"):
        if older != target:
            older.unlink()
    checkpoints.saved()


def _write(state: dict[str, Any], target: Path) -> None:
    """Write a state; raise the OSError of a full disk, which torch wraps in an error of its own."""
    try:
        with target.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


def _resume(
    learner: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    folder: Path | None,
) -> tuple[int, list[float]]:
    """Load the newest readable state; return the step to continue with and the losses so far."""
    for state_file in sorted(folder.glob(f"{STATE}*.pt"), reverse=True) if folder else ():
        try:
            # Tensors and numbers only, so that no code in the file runs.
            # To the CPU first: the resuming pod may have no GPU, and load_state_dict moves the tensors.
            state = torch.load(state_file, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            state_file.unlink()
            continue
        learner.load_state_dict(state["learner"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        return int(state["step"]), list(state["losses"])
    return 0, []
