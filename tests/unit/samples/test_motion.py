"""Videos of moving digits agree with their labels, and rotating them changes the labels."""

import numpy as np
import pytest
import torch

from samples.motion import DIRECTIONS, NOISE, SIZE, STEPS, _video
from samples.motion_training import _rotated

DIGITS = np.full((1, 8, 8), 240.0)


@pytest.mark.parametrize("direction", range(len(DIRECTIONS)))
def test_the_digit_moves_in_the_labelled_direction(direction: int) -> None:
    random = np.random.default_rng(direction)
    step = STEPS[direction]
    for _ in range(20):
        frames = _video(DIGITS, step, random)[..., 0] > 5 * NOISE
        # The centre of brightness. The digit at rest does not move it.
        first, last = (np.argwhere(frames[number]).mean(axis=0) for number in (0, -1))
        moved = last - first
        assert (moved * step).sum() > 0 or abs(moved).max() < 2  # overlapping digits hide some of the brightness
        assert frames.shape == (8, SIZE, SIZE)


def test_most_centres_of_light_move_far() -> None:
    random = np.random.default_rng(1)
    far = 0
    for _ in range(40):
        frames = _video(DIGITS, STEPS[1], random)[..., 0] > 5 * NOISE
        first, last = (np.argwhere(frames[number])[:, 1].mean() for number in (0, -1))
        far += last - first > 2
    assert far >= 32


def test_turning_a_video_turns_its_direction() -> None:
    for direction, (down, right) in enumerate(STEPS):
        video = torch.zeros(1, 2, 1, 9, 9)
        video[0, 0, 0, 4, 4] = 1
        video[0, 1, 0, 4 + down, 4 + right] = 1
        for quarters in range(4):
            turned, label = _rotated(video, torch.tensor([direction]), quarters)
            places = turned[0, :, 0].nonzero()[:, 1:]
            assert (places[1] - places[0]).tolist() == STEPS[label.item()].tolist()
