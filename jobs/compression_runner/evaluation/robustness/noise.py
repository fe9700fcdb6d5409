"""Gaussian noise on numeric inputs."""

import numpy as np

from compression_runner.evaluation.robustness.space import Space
from compression_runner.inference.similarity import Floats


def noisy(array: Floats, space: Space, level: float, generator: np.random.Generator) -> Floats:
    """Return an input with noise of `level` units, clipped to the bounds of the data."""
    return space.kept(array + level * space.unit * generator.standard_normal(array.shape))
