"""Common corruptions of images and tables, in five severities.

Images: D. Hendrycks, T. Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations,
ICLR 2019, with the severities of CIFAR-10-C, which fit the small images that small models take; a blur's width grows
with the image. Pixels are scaled by the range of their channel, so that preprocessed inputs can be corrupted.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from compression_runner.evaluation.robustness.space import Doubles, Space, channel_axis
from compression_runner.inference.similarity import Floats
from compressionjob.trust_limits import Corruption

Corrupt = Callable[[Floats, Space, int, np.random.Generator], Doubles]
"""(one input, its space, severity from 0 to 4, a generator) -> the corrupted input, not yet clipped to the bounds."""

BLUR: Final = (0.4, 0.6, 0.7, 0.8, 1.0)
"""Standard deviations in pixels of an image with a shorter side of BLUR_SIDE."""
BLUR_SIDE: Final = 32
CONTRAST: Final = (0.75, 0.5, 0.4, 0.3, 0.15)
BRIGHTNESS: Final = (0.05, 0.1, 0.15, 0.2, 0.3)
PIXELATE: Final = (0.95, 0.9, 0.85, 0.75, 0.65)
IMPULSE: Final = (0.01, 0.02, 0.03, 0.05, 0.07)
MISSING: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Share of a row's values that are missing, and are replaced by the mean of their column."""
DRIFT: Final = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Offset of every column in standard deviations; all rows of a column go in one direction."""
DRIFT_SEED: Final = 20261125


def corrupted(kind: Corruption, array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Floats:
    """Return a corrupted input, clipped to the bounds of the data except for drift."""
    changed = NUMERIC[kind](array, space, severity - 1, generator)
    return changed.astype(np.float32) if kind == "drift" else space.kept(changed)


def _blur(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    axis = channel_axis(array.shape)
    sides = [size for other, size in enumerate(array.shape) if other != axis]
    width = BLUR[severity] * max(1.0, min(sides) / BLUR_SIDE)
    sigma = [0.0 if other == axis else width for other in range(array.ndim)]
    return np.asarray(ndimage.gaussian_filter(array.astype(np.float64), sigma, mode="nearest"))


def _contrast(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    axis = channel_axis(array.shape)
    mean = array.mean(axis=tuple(other for other in range(array.ndim) if other != axis), keepdims=True)
    return np.asarray((array - mean) * CONTRAST[severity] + mean, dtype=np.float64)


def _brightness(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    return np.asarray(array + BRIGHTNESS[severity] * space.unit, dtype=np.float64)


def _pixelate(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    axis = channel_axis(array.shape)
    planes = np.moveaxis(array, axis, 0) if axis is not None else array[np.newaxis]
    height, width = planes.shape[1:]
    small = (max(1, int(width * PIXELATE[severity])), max(1, int(height * PIXELATE[severity])))
    resized = np.stack(
        [_resized(_resized(plane, small), (width, height), Image.Resampling.NEAREST) for plane in planes]
    )
    return np.asarray(np.moveaxis(resized, 0, axis) if axis is not None else resized[0], dtype=np.float64)


def _resized(
    plane: NDArray[np.float32], size: tuple[int, int], how: Image.Resampling = Image.Resampling.BOX
) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32)).resize(size, how))


def _impulse(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    hit, white = generator.random(array.shape) < IMPULSE[severity], generator.random(array.shape) < 0.5
    extreme = np.where(white, space.high, space.low)
    return np.asarray(np.where(hit, extreme, array), dtype=np.float64)


def _missing(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    return np.asarray(
        np.where(generator.random(array.shape) < MISSING[severity], space.middle, array), dtype=np.float64
    )


def _drift(array: Floats, space: Space, severity: int, generator: np.random.Generator) -> Doubles:
    # The same for every row: a miscalibrated instrument, not noise.
    direction = np.random.default_rng(DRIFT_SEED).choice([-1.0, 1.0], size=array.shape)
    return np.asarray(array + DRIFT[severity] * space.unit * direction, dtype=np.float64)


NUMERIC: Final[Mapping[Corruption, Corrupt]] = {
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "pixelate": _pixelate,
    "impulse": _impulse,
    "missing": _missing,
    "drift": _drift,
}
