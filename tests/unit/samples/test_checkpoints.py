"""Shipped checkpoints are float16, and unpack to float32 models with their class names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import (
    AutoModelForAudioClassification,
    AutoModelForImageClassification,
    AutoModelForVideoClassification,
)

from samples import checkpoints, fashion_cnn, motion, prompts
from samples.images import LABELS
from samples.packages import move

SHIPPED = [fashion_cnn.CHECKPOINT, prompts.CHECKPOINT, motion.CHECKPOINT]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_checkpoint_is_float16_and_unpacks_to_float32(folder: Path, tmp_path: Path) -> None:
    checkpoints.unpack(folder, tmp_path)
    assert (folder / "model.safetensors").stat().st_size < 2_000_000
    shipped, written = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    floats = [name for name, values in shipped.items() if values.dtype == np.float16]
    assert len(floats) > 10
    for name in floats:
        assert written[name].dtype == np.float32
        assert np.isfinite(written[name]).all()
        np.testing.assert_array_equal(written[name].astype(np.float16), shipped[name])


@pytest.mark.parametrize(
    ("folder", "kind", "inputs", "names"),
    [
        (fashion_cnn.CHECKPOINT, AutoModelForImageClassification, {"pixel_values": (2, 1, 28, 28)}, LABELS),
        (prompts.CHECKPOINT, AutoModelForAudioClassification, {"input_values": (2, 128, 64)}, prompts.LANGUAGES),
        (motion.CHECKPOINT, AutoModelForVideoClassification, {"pixel_values": (2, 8, 1, 32, 32)}, motion.DIRECTIONS),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_a_shipped_checkpoint_loads_with_its_class_names(
    folder: Path, kind: Any, inputs: dict[str, tuple[int, ...]], names: tuple[str, ...], tmp_path: Path
) -> None:
    checkpoints.unpack(folder, tmp_path)
    model = kind.from_pretrained(tmp_path).eval()
    assert model.dtype == torch.float32
    assert model.config.architectures == [type(model).__name__]
    assert [model.config.id2label[number] for number in range(len(names))] == list(names)
    with torch.no_grad():
        logits = model(**{name: torch.zeros(shape) for name, shape in inputs.items()}).logits
    assert logits.shape == (2, len(names))


def test_integers_are_not_converted(tmp_path: Path) -> None:
    weights = {"weight": np.array([0.5, -2.0], dtype=np.float32), "counted": np.array(3, dtype=np.int64)}
    checkpoints.write_float16(tmp_path / "shipped", weights)
    checkpoints.unpack(tmp_path / "shipped", tmp_path / "written")
    written = load_file(tmp_path / "written" / "model.safetensors")
    assert written["counted"].dtype == np.int64
    assert written["counted"] == 3
    np.testing.assert_array_equal(written["weight"], weights["weight"])


def test_a_cached_checkpoint_is_readable_for_all_users(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    (fresh / "inner").mkdir(parents=True, mode=0o700)
    (fresh / "inner" / "weights").write_bytes(b"1")
    (fresh / "inner" / "weights").chmod(0o600)
    checkpoints.keep(fresh, tmp_path / "kept")
    assert (tmp_path / "kept" / "inner" / "weights").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "kept" / "inner").stat().st_mode & 0o777 == 0o755


def test_the_copy_of_a_faster_process_is_kept(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "made-by").write_text(name)
        move(tmp_path / name, tmp_path / "place")
    assert (tmp_path / "place" / "made-by").read_text() == "first"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="Not a directory"):
        move(tmp_path / "second", tmp_path / "file")
