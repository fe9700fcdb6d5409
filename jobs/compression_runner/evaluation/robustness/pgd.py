"""Projected gradient descent: adversarial inputs near the given ones.

Source: A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, section 2.1: steps in
the direction of the gradient's sign from a random start, each followed by a projection onto the ball in the maximum
norm.
"""

from typing import Final, Protocol

import numpy as np

from compression_runner.evaluation.quality.comparison import Classes
from compression_runner.evaluation.robustness.space import Space
from compression_runner.inference.similarity import Floats

REACH: Final = 2.5
"""Length of all steps together in epsilons: enough from any start to any edge of the ball (section B)."""


class Gradient(Protocol):
    """The gradient of a model's loss at its inputs."""

    def __call__(self, inputs: Floats, labels: Classes) -> Floats:
        """Return the gradient of the loss at inputs of shape (samples, ...), for the right classes (samples,)."""


def attack(
    inputs: Floats,
    labels: Classes,
    space: Space,
    epsilon: float,
    steps: int,
    gradient: Gradient,
    generator: np.random.Generator,
) -> Floats:
    """Return inputs (samples, ...) with a greater loss.

    Each value is at most `epsilon` units from the given one, and within the bounds of the data.
    """
    reach = epsilon * space.unit
    low, high = np.maximum(inputs - reach, space.low), np.minimum(inputs + reach, space.high)
    adversarial = np.clip(inputs + reach * generator.uniform(-1.0, 1.0, inputs.shape), low, high)
    step = REACH * reach / steps
    for _ in range(steps):
        adversarial = np.clip(adversarial + step * np.sign(gradient(adversarial.astype(np.float32), labels)), low, high)
    return adversarial.astype(np.float32)
