"""Input shapes of images, videos and recordings, from the configuration and preprocessor of a model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from compression_runner.dataset.audio import feature_extractor

SIGNALS: Final = ("pixel_values", "pixel_values_videos", "input_values", "input_features")
"""Names of inputs that are not text."""
BATCHES: Final = (2, 1, 3)
SECONDS: Final = (0.5, 0.35, 0.8)
"""Lengths of recordings: if they give inputs of different lengths, the length of the input is free."""
DEFAULT_RATE: Final = 16_000


def signal_shapes(model: torch.nn.Module, path: Path, name: str) -> Sequence[tuple[int, ...]]:
    """Return shapes of inputs `name`, batch first; with different lengths if the model takes any length."""
    if name.startswith("input_"):
        return [(batch, *shape) for batch, shape in zip(BATCHES, _audio_shapes(model, path), strict=True)]
    shape = _image_shape(model, path)
    if type(model).__name__.endswith("ForVideoClassification"):
        frames = int(getattr(model.config, "num_frames", 0) or getattr(model.config, "frames_per_clip", 16))
        return [(batch, frames, *shape) for batch in BATCHES]
    return [(batch, *shape) for batch in BATCHES]


def _audio_shapes(model: torch.nn.Module, path: Path) -> list[tuple[int, ...]]:
    extractor = feature_extractor(path)
    if extractor is None:
        config: Any = model.config
        frames, bins = getattr(config, "max_length", None), getattr(config, "num_mel_bins", None)
        if isinstance(frames, int) and isinstance(bins, int):
            return [(frames, bins)] * len(SECONDS)
        return [(int(DEFAULT_RATE * seconds),) for seconds in SECONDS]
    random = np.random.default_rng(0)
    rate = int(extractor.sampling_rate)
    shapes = []
    for seconds in SECONDS:
        wave = random.standard_normal(int(rate * seconds)).astype(np.float32) * 0.1
        values = extractor(wave, sampling_rate=rate, return_tensors="np")[extractor.model_input_names[0]]
        shapes.append(tuple(int(size) for size in values.shape[1:]))
    return shapes


def _image_shape(model: torch.nn.Module, path: Path) -> tuple[int, int, int]:
    config: Any = model.config
    channels = int(getattr(config, "num_channels", 3))
    processor = path / "preprocessor_config.json"
    settings: dict[str, Any] = json.loads(processor.read_text()) if processor.is_file() else {}
    chosen = settings.get("crop_size") if settings.get("do_center_crop") else settings.get("size")
    size: Any = chosen or getattr(config, "image_size", 224)
    if isinstance(size, dict):
        edges: dict[str, int] = size
        edge = edges.get("shortest_edge", 224)
        return channels, edges.get("height", edge), edges.get("width", edge)
    if isinstance(size, (list, tuple)):
        return channels, int(size[0]), int(size[1])
    return channels, int(size), int(size)
