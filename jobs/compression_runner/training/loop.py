"""The training loop: bit-identical whether it runs through or is cut off and goes on from what it kept."""

import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from compression_runner.training.batches import Batch, Batches
from compressionjob.methods.training import Training
from compressionjob.schema import parse_duration

STATE: Final = "state-"
Loss = Callable[[Batch], torch.Tensor]


class Diverged(Exception):
    """A training whose loss is no longer finite."""


@dataclass(frozen=True)
class Keeping:
    """Where the loop keeps its state (None: nowhere), and whom it tells that the state is whole."""

    place: Path | None = None
    kept: Callable[[], None] = lambda: None
    advance: Callable[[float], None] = lambda _fraction: None


@dataclass
class Trained:
    """How a training went: steps in all, at which of them it was taken up again, and losses at regular steps.

    `gpu` tells of the GPU from the step at which it was taken up, empty where there is none to tell of.
    """

    steps: int
    resumed_at: int
    losses: list[float] = field(default_factory=list)
    gpu: dict[str, Any] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """For the report."""
        losses = [round(loss, 6) for loss in self.losses]
        told = {"steps": self.steps, "resumedAtStep": self.resumed_at, "losses": losses}
        return told | ({"gpu": self.gpu} if self.gpu else {})


def planned_steps(batches: Batches, settings: Training) -> int:
    """How many steps the settings ask for, time aside."""
    steps = settings.epochs * batches.steps_per_epoch
    return min(steps, settings.max_steps) if settings.max_steps else steps


def train(
    learner: torch.nn.Module,
    batches: Batches,
    loss_of: Loss,
    settings: Training,
    keeping: Keeping,
    after_step: Callable[[], None] = lambda: None,
    enough: Callable[[], bool] = lambda: False,
    slices: Callable[[Batch], Sequence[tuple[Batch, float]]] = lambda batch: [(batch, 1.0)],
) -> Trained:
    """Trains the parameters of `learner` that require a gradient, in place, and leaves it in evaluation mode.

    `slices` are the parts of a batch that a step goes through one after the other, each with its share of the loss.
    `after_step` runs after each step (to keep zeros at zero); after each epoch the training ends if it is `enough`.
    Raises Diverged where the loss is no longer finite.
    """
    total = planned_steps(batches, settings)
    optimizer = _optimizer(learner, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total, settings.warmup))
    start, losses = _resume(learner, optimizer, schedule, keeping.place)
    limit = parse_duration(settings.time_limit) if settings.time_limit else math.inf
    began, step = time.monotonic(), start
    learner.train(True)
    while step < total and time.monotonic() - began < limit:
        # Dropout's draws depend on the step alone, so that a run that was cut off goes on with the same ones.
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
            _keep(learner, optimizer, schedule, step, losses, keeping)
        keeping.advance(step / total)
        if step % batches.steps_per_epoch == 0 and step < total and _is_enough(learner, enough):
            break
    learner.train(False)
    return Trained(step, start, losses)


def _is_enough(learner: torch.nn.Module, enough: Callable[[], bool]) -> bool:
    learner.train(False)
    try:
        return enough()
    finally:
        learner.train(True)


def _optimizer(learner: torch.nn.Module, settings: Training) -> torch.optim.Optimizer:
    """AdamW; weight decay is for matrices, not for biases and norms."""
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate)


def _rate(step: int, total: int, warmup: int) -> float:
    """Share of the peak learning rate at a step: a line up, then half a cosine down."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def _keep(
    learner: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    step: int,
    losses: list[float],
    keeping: Keeping,
) -> None:
    if keeping.place is None:
        return
    state = {
        "step": step,
        "losses": losses,
        "learner": learner.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    target = keeping.place / f"{STATE}{step:09d}.pt"
    partial = keeping.place / f".{target.name}"
    _write(state, partial)
    partial.replace(target)
    for older in keeping.place.glob(f"{STATE}*.pt"):
        if older != target:
            older.unlink()
    keeping.kept()


def _write(state: dict[str, Any], place: Path) -> None:
    """Writes a state; where the disk is full torch hides the operating system's error behind its own."""
    try:
        with place.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


def _resume(
    learner: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    place: Path | None,
) -> tuple[int, list[float]]:
    """The step to go on with, after the newest state that can be read was put in place."""
    for state_file in sorted(place.glob(f"{STATE}*.pt"), reverse=True) if place else ():
        try:
            # Tensors and numbers only: no code is run, whatever the file holds.
            # To the CPU first: the pod that goes on may have no GPU, and each part moves to where its tensors are.
            state = torch.load(state_file, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            state_file.unlink()
            continue
        learner.load_state_dict(state["learner"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        return int(state["step"]), list(state["losses"])
    return 0, []
