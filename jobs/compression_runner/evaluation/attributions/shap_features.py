"""The SHAP features of an input (columns, patches or text spans), and inputs without some of them.

A missing feature is replaced by the mean of its column or channel, or by the tokenizer's mask token.
"""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compression_runner.dataset import SampleSet
from compression_runner.dataset.sample_set import Sample
from compression_runner.dataset.texts import load_tokenizer
from compression_runner.evaluation.request import texts_of
from compression_runner.evaluation.robustness.space import Space, channel_axis
from compressionjob.tasks import Content

Presence = NDArray[np.bool_]
"""Which features are present, shape (inputs, features)."""
PATCHES: Final = 7
"""Patches along each side of an image."""
PICTURE_SIDE: Final = 140
"""Pixels of an image's longer side in the report, which draws it as large; whole images would make megabytes."""
MOST: Final = 48
"""Most features of a text; a longer text is divided into this many spans."""
MASKS: Final = ("mask_token_id", "unk_token_id", "pad_token_id")
"""Attributes of a tokenizer for the token that replaces a missing one, in order of preference."""


@dataclass(frozen=True)
class ShapFeatures:
    """The features of one input; `inputs` makes inputs that have only some of them.

    `values` are those of a table's columns. `grid` counts the rows and columns of patches, and `picture` is the image
    that they divide.
    """

    names: list[str]
    inputs: Callable[[Presence], list[Sample]]
    values: list[str] = field(default_factory=list)
    grid: list[int] = field(default_factory=list)
    picture: str = ""


def features_of(data: SampleSet, row: int, content: Content, space: Space | None) -> ShapFeatures:
    """Return the features of one sample; `space` is the input space of numeric inputs, None for texts."""
    if space is None:
        return _tokens(data, row)
    array = np.asarray(data.samples[row][space.name], dtype=np.float32)
    if content == "features":
        names = list(data.features) or [f"{space.name}[{column}]" for column in range(array.size)]
        values = [f"{value:.6g}" for value in array.ravel()]
        return ShapFeatures(names, _with_cells(array, np.arange(array.size).reshape(array.shape), space), values)
    return _patches(array, space)


def _with_cells(
    array: NDArray[np.float32], numbers: NDArray[np.int64], space: Space
) -> Callable[[Presence], list[Sample]]:
    """Return a function that leaves out features; `numbers` has the feature of each value."""
    usual = np.broadcast_to(space.middle, array.shape).astype(np.float32)
    return lambda presence: [{space.name: np.where(row[numbers], array, usual)} for row in presence]


def _patches(array: NDArray[np.float32], space: Space) -> ShapFeatures:
    axis = channel_axis(array.shape)
    height, width = [size for other, size in enumerate(array.shape) if other != axis][:2]
    rows, columns = min(PATCHES, height), min(PATCHES, width)
    numbers = (np.arange(height) * rows // height)[:, np.newaxis] * columns + np.arange(width) * columns // width
    names = [f"{row},{column}" for row in range(rows) for column in range(columns)]
    spread = np.broadcast_to(numbers if axis is None else np.expand_dims(numbers, axis), array.shape)
    picture = _picture(array, axis, space)
    return ShapFeatures(names, _with_cells(array, spread, space), grid=[rows, columns], picture=picture)


def _picture(array: NDArray[np.float32], axis: int | None, space: Space) -> str:
    """Return the image as a small PNG data URL; its channels are scaled from the range of the data to 0..255."""
    shares = (array - space.low) / np.where(space.unit > 0, space.unit, 1.0)
    pixels = np.round(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    if axis is not None:
        pixels = np.moveaxis(pixels, axis, -1)
        pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO()
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _tokens(data: SampleSet, row: int) -> ShapFeatures:
    """Return spans of a text's tokens as features; special tokens are always present."""
    tokenizer, sample = load_tokenizer(texts_of(data, "attributions").model_dir), data.samples[row]
    ids = sample["input_ids"]
    special = np.isin(ids, tokenizer.all_special_ids)
    count = int(np.sum(~special))
    spans = min(count, MOST)
    numbers = np.full(len(ids), -1, dtype=np.int64)
    numbers[~special] = np.arange(count) * spans // max(1, count)
    names = [str(tokenizer.decode(ids[numbers == span])) for span in range(spans)]
    given = (getattr(tokenizer, name, None) for name in MASKS)
    mask = next((int(token) for token in given if token is not None), 0)

    def inputs(presence: Presence) -> list[Sample]:
        # One more column, for feature -1.
        kept = np.concatenate([presence, np.ones((len(presence), 1), dtype=np.bool_)], axis=1)
        return [{**sample, "input_ids": np.where(row[numbers], ids, mask)} for row in kept]

    return ShapFeatures(names, inputs)
