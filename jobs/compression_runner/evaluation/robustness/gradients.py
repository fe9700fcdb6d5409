"""Gradients of a model's loss at its inputs: by torch for a module, and estimated from answers for a graph."""

from collections.abc import Callable
from typing import Final

import numpy as np

from compression_runner.artifact import Artifact
from compression_runner.evaluation.quality.comparison import Classes
from compression_runner.evaluation.robustness.pgd import Gradient
from compression_runner.evaluation.robustness.space import Doubles, Space
from compression_runner.inference.similarity import Floats
from compressionjob.tasks import Task

BATCH: Final = 64
DIRECTIONS: Final = 32
"""Random directions of one estimate; each costs two answers."""


def module_gradient(checkpoint: Artifact, task: Task) -> Gradient:
    """Return the gradient of the cross-entropy of a Transformers checkpoint."""
    import torch

    from compression_runner.formats.task_module import wrap
    from compression_runner.formats.transformers_model import load_model

    module, _ = wrap(load_model(checkpoint.path, task), checkpoint.path, task)
    module.requires_grad_(requires_grad=False)

    def gradient(inputs: Floats, labels: Classes) -> Floats:
        parts = []
        for start in range(0, len(inputs), BATCH):
            given = torch.from_numpy(inputs[start : start + BATCH]).requires_grad_()
            wanted = torch.from_numpy(labels[start : start + BATCH])
            loss = torch.nn.functional.cross_entropy(module(given), wanted, reduction="sum")
            parts.append(torch.autograd.grad(loss, given)[0].numpy())
        return np.concatenate(parts)

    return gradient


def estimated_gradient(
    scores: Callable[[Floats], Floats], space: Space, epsilon: float, generator: np.random.Generator
) -> Gradient:
    """Return an estimate of the gradient of the margin by which a wrong class wins, from class scores alone.

    `scores` maps inputs (samples, ...) to class scores (samples, classes). Source: J. C. Spall's simultaneous
    perturbation (IEEE Transactions on Automatic Control 37, 1992), averaged over DIRECTIONS random directions of plus
    and minus one, as in the attack of J. Uesato et al. (Adversarial Risk and the Dangers of Evaluating Against Weak
    Attacks, ICML 2018).
    """
    width = epsilon / 4 * space.unit  # wide enough for integer weights to notice

    def gradient(inputs: Floats, labels: Classes) -> Floats:
        total = np.zeros(inputs.shape)
        for _ in range(DIRECTIONS):
            direction = generator.choice([-1.0, 1.0], size=inputs.shape)
            ends = [(inputs + sign * width * direction).astype(np.float32) for sign in (1.0, -1.0)]
            margins = [_margin(scores(end), labels) for end in ends]
            total += (margins[0] - margins[1]).reshape(-1, *[1] * (inputs.ndim - 1)) * direction
        return total.astype(np.float32)

    return gradient


def _margin(scores: Floats, labels: Classes) -> Doubles:
    """Return the best wrong class's score minus the right one's, shape (samples,); 0 where it is not finite."""
    rows = np.arange(len(scores))
    others = scores.astype(np.float64)
    right = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    return np.asarray(np.nan_to_num(others.max(axis=1) - right, nan=0.0, posinf=0.0, neginf=0.0))
