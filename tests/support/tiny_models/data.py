"""Tiny data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.tiny_models.text import WORDS


def sentences(count: int = 60) -> list[str]:
    """Return distinct sentences of 3 to 14 words of the tiny vocabulary."""
    random = np.random.default_rng(11)
    distinct: dict[str, None] = {}
    while len(distinct) < count:
        distinct[" ".join(random.choice(WORDS, size=int(random.integers(3, 15))))] = None
    return list(distinct)


def text_data(place: Path, labels: Sequence[int] = (), *, skip: int = 0) -> Path:
    """Write a parquet file with the columns text and, with `labels`, label. Leave out the first `skip` sentences."""
    place.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, object] = {"text": sentences(skip + (len(labels) or 60))[skip:]}
    if labels:
        columns["label"] = list(labels)
    pq.write_table(pa.table(columns), place)
    return place


def image_data(place: Path, *, seed: int = 0, count: int = 120, labels: int = 3) -> Path:
    """Write images for `resnet` and labels as an npz file."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 16, 16, 1)).astype(np.uint8)
    np.savez(place, image=pixels, label=random.integers(0, labels, count))
    return place


def array_data(place: Path, *, width: int = 64, count: int = 40) -> Path:
    """Write inputs for `perceptron` as an npz file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(13)
    np.savez(place, x=random.normal(size=(count, width)).astype(np.float32))
    return place
