"""Projected gradient descent: inputs near the given ones that a model answers wrongly.

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
"""What all steps together may cover, in epsilons: enough to get from any start to any edge of the ball (section B)."""


class Gradient(Protocol):
    """Where the loss of a model grows."""

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
    """Return inputs (samples, ...) of a greater loss, none of whose numbers is more than `epsilon` units from the given
    one, within the bounds of the data.
    """
    reach = epsilon * space.unit
    low, high = np.maximum(inputs - reach, space.low), np.minimum(inputs + reach, space.high)
    found = np.clip(inputs + reach * generator.uniform(-1.0, 1.0, inputs.shape), low, high)
    step = REACH * reach / steps
    for _ in range(steps):
        found = np.clip(found + step * np.sign(gradient(found.astype(np.float32), labels)), low, high)
    return found.astype(np.float32)
