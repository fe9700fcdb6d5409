"""The video sample: scikit-learn's digits moving over noise, and a video transformer that predicts the direction."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samples import checkpoints

SEED = 20261124
DIRECTIONS = ("left", "right", "up", "down")
STEPS = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])
"""Rows and columns of a step in each direction."""
CHECKPOINT = Path(__file__).parent / "motion"
FRAMES = 8
SIZE = 32
DIGIT = 8
TRAIN, TEST = 6000, 1000
TEST_DIGITS = 450
"""Number of the 1,797 digits that move in test videos only."""
NOISE = 24.0


@dataclass(frozen=True)
class Videos:
    """Frames (n, 8, 32, 32, 1) and the index of the direction of each video, (n,)."""

    frames: NDArray[np.uint8]
    labels: NDArray[np.int64]


def motion(destination: Path) -> None:
    """Write model/ (float32), train.npz (6,000) and test.npz (1,000): video (8 frames of 32 x 32, grey), label."""
    destination.mkdir(parents=True, exist_ok=True)
    for part, videos in zip(("train", "test"), split(), strict=True):
        np.savez_compressed(destination / f"{part}.npz", video=videos.frames, label=videos.labels)
    checkpoints.unpack(CHECKPOINT, destination / "model")


def train_motion(destination: Path) -> None:
    """Train the shipped checkpoint, about six minutes on one core."""
    from samples.motion_training import train

    videos, _ = split()
    train(videos.frames, videos.labels, DIRECTIONS, destination)


def split() -> tuple[Videos, Videos]:
    """Return videos for training and for testing, of different digits."""
    from sklearn.datasets import load_digits

    random = np.random.default_rng(SEED)
    digits = random.permutation(load_digits().images.astype(np.float64) * 15.0)
    return _videos(digits[TEST_DIGITS:], TRAIN, random), _videos(digits[:TEST_DIGITS], TEST, random)


def _videos(digits: NDArray[np.float64], count: int, random: np.random.Generator) -> Videos:
    labels = random.integers(0, len(DIRECTIONS), count)
    return Videos(np.stack([_video(digits, STEPS[label], random) for label in labels]), labels)


def _video(digits: NDArray[np.float64], step: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a video: a digit that moves by one to three pixels a frame, a digit at rest, and noise in each frame."""
    mover, still = digits[random.integers(0, len(digits), 2)]
    speed = random.integers(1, 4)
    way = step * speed * (FRAMES - 1)
    # The digit is inside the first and the last frame.
    start = random.integers(np.maximum(0, -way), SIZE - DIGIT + 1 - np.maximum(0, way))
    rest = random.integers(0, SIZE - DIGIT + 1, 2)
    frames = np.zeros((FRAMES, SIZE, SIZE))
    for number, frame in enumerate(frames):
        for digit, (top, left) in ((still, rest), (mover, start + step * speed * number)):
            region = frame[top : top + DIGIT, left : left + DIGIT]
            np.maximum(region, digit, out=region)
    noisy = frames + random.normal(0, NOISE, frames.shape)
    return noisy.clip(0, 255).astype(np.uint8)[..., np.newaxis]
