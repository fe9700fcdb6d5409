"""Noise, corruptions and typing errors: their effects, their bounds, and their determinism."""

import numpy as np
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.robustness.corruptions import DRIFT, MISSING, NUMERIC, corrupted
from compression_runner.evaluation.robustness.noise import noisy
from compression_runner.evaluation.robustness.space import inputs_of, space_of
from compression_runner.evaluation.robustness.typos import SHARES, misspelt
from compressionjob.trust_limits import CORRUPTIONS

IMAGES = np.random.default_rng(0).uniform(-1, 1, (20, 3, 24, 24)).astype(np.float32)
IMAGES[:, 1] *= 2
ROWS = (np.random.default_rng(1).normal(size=(400, 5)) * [1, 10, 100, 0, 2] + [0, 5, 0, 7, 0]).astype(np.float32)


def _data(arrays: np.ndarray) -> SampleSet:
    return SampleSet(samples=[{"x": array} for array in arrays], digest="sha256:0")


def _again(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_unit_is_the_range_of_a_channel_and_the_deviation_of_a_column() -> None:
    space = space_of(_data(IMAGES), "image")
    assert space.unit.shape == (3, 1, 1)
    assert space.unit.ravel() == pytest.approx([2, 4, 2], rel=0.01)
    table = space_of(_data(ROWS), "features")
    assert table.unit == pytest.approx(ROWS.std(axis=0), rel=1e-4)
    assert table.middle == pytest.approx(ROWS.mean(axis=0), abs=1e-3)
    assert table.unit[3] == 0


def test_recordings_of_different_lengths_have_one_unit() -> None:
    waves = [np.full(100, 0.5, np.float32), np.full(300, -0.5, np.float32)]
    space = space_of(SampleSet(samples=[{"x": wave} for wave in waves], digest=""), "audio")
    assert space.middle == pytest.approx([-0.25])
    assert space.unit == pytest.approx([np.sqrt(0.75) / 2])


def test_channels_may_come_last() -> None:
    space = space_of(_data(np.moveaxis(IMAGES, 1, -1)), "image")
    assert space.unit.shape == (1, 1, 3)


def test_several_inputs_are_refused() -> None:
    two = SampleSet(samples=[{"x": ROWS[0], "y": ROWS[1]}], digest="")
    with pytest.raises(InvalidInput, match=r"the model's inputs are x \(float32\), y"):
        space_of(two, "features")


def test_noise_has_its_level_and_keeps_the_bounds() -> None:
    space = space_of(_data(ROWS), "features")
    noise_rows = np.stack([noisy(row, space, 0.2, _again(number)) for number, row in enumerate(ROWS)])
    apart = (noise_rows - ROWS).std(axis=0) / np.where(space.unit > 0, space.unit, 1)
    assert apart[[0, 1, 2, 4]] == pytest.approx(0.2, rel=0.15)
    assert apart[3] == 0, "what never varies has no noise"
    assert (noise_rows.min(axis=0) >= ROWS.min(axis=0)).all()
    assert (noise_rows.max(axis=0) <= ROWS.max(axis=0)).all()
    assert np.array_equal(noisy(ROWS[0], space, 0.2, _again()), noisy(ROWS[0], space, 0.2, _again()))


def test_every_numeric_corruption_is_implemented() -> None:
    assert set(NUMERIC) | {"typos"} == {kind for kinds in CORRUPTIONS.values() for kind in kinds}


@pytest.mark.parametrize("kind", CORRUPTIONS["image"])
def test_images_are_corrupted_more_with_severity(kind: str) -> None:
    data = _data(IMAGES)
    space = space_of(data, "image")
    apart = []
    for severity in range(1, 6):
        images = [corrupted(kind, image, space, severity, _again()) for image in inputs_of(data, space)]  # type: ignore[arg-type]
        assert all(image.shape == (3, 24, 24) and image.dtype == np.float32 for image in images)
        assert min(image.min() for image in images) >= IMAGES.min()
        assert max(image.max() for image in images) <= IMAGES.max()
        apart.append(float(np.abs(np.stack(images) - IMAGES).mean()))
    assert apart[0] > 0
    assert apart == sorted(apart)


def test_blur_removes_details_and_keeps_the_mean() -> None:
    space = space_of(_data(IMAGES), "image")
    image = corrupted("blur", IMAGES[0], space, 5, _again())
    assert image.std() < 0.6 * IMAGES[0].std()
    assert image.mean() == pytest.approx(IMAGES[0].mean(), abs=0.02)


def test_missing_values_become_the_mean_and_drift_is_equal_for_all_rows() -> None:
    space = space_of(_data(ROWS), "features")
    missing = np.stack([corrupted("missing", row, space, 3, _again(n)) for n, row in enumerate(ROWS)])
    changed = missing[:, :3] != ROWS[:, :3]
    assert changed.mean() == pytest.approx(MISSING[2], abs=0.04)
    assert missing[:, 1][changed[:, 1]] == pytest.approx(ROWS[:, 1].mean(), abs=1e-3)
    drift = np.stack([corrupted("drift", row, space, 2, _again(n)) for n, row in enumerate(ROWS)]) - ROWS
    assert np.ptp(drift, axis=0) == pytest.approx(0, abs=1e-3)
    assert np.abs(drift[0]) == pytest.approx(DRIFT[1] * space.unit, abs=1e-3)


def test_words_are_misspelt_at_their_rate_and_not_at_the_first_letter() -> None:
    text = " ".join(["household"] * 4000)
    words = misspelt(text, 4, _again()).split()
    wrong = [word for word in words if word != "household"]
    # Two letters that change places, or one that is doubled or left out; "se" swapped is never the same word.
    assert len(wrong) / len(words) == pytest.approx(SHARES[3], abs=0.02)
    assert all(word[0] == "h" and abs(len(word) - 9) <= 1 for word in wrong)
    assert misspelt("a cat sat 12345 on it", 5, _again()) == "a cat sat 12345 on it"
