"""Convert images to pixel arrays with the settings in the model's preprocessor_config.json."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.pixels import FIELD, RGB, channels_of, pixels_of, with_channels
from compression_runner.dataset.problems import bad_data, row_name
from compression_runner.dataset.table import Column
from compression_runner.errors import LIBRARY_ERRORS, cause

PREPARE_AT_ONCE = 256
PREPROCESSOR = "preprocessor_config.json"


def prepare_images(images: Column, model_dir: Path) -> list[NDArray[np.float32]]:
    """Return each image as an array of shape (channels, height, width), all of one shape.

    An image is encoded bytes (PNG, JPEG), a mapping with them under "bytes", or pixels of shape (height, width) or
    (height, width, channels). Without a preprocessor_config.json, integer pixels are divided by 255 and others stay
    unchanged. Raises InvalidInput, with the row, for a value that is not an image for the model.
    """
    prepare = processor(model_dir) if (model_dir / PREPROCESSOR).is_file() else None
    pixels = [pixels_of(image, row) for row, image in enumerate(images)]
    names = [row_name(row, image) for row, image in enumerate(images)]
    channels = channels_wanted(pixels, model_dir, prepare)
    pixels = [with_channels(image, channels, name) for image, name in zip(pixels, names, strict=True)]
    prepared = [plain(image) for image in pixels] if prepare is None else _processed(pixels, names, prepare)
    for name, array in zip(names, prepared, strict=True):
        if array.shape != prepared[0].shape:
            problem = f"{name} has shape {array.shape} (channels, height, width), and {names[0]} {prepared[0].shape}"
            remedy = f"give images of one size, or put a {PREPROCESSOR} that resizes beside the model"
            raise bad_data(FIELD, array.shape, problem, remedy)
    return prepared


def channels_wanted(pixels: Sequence[NDArray[Any]], model_dir: Path, prepare: Any) -> int:
    """Return the number of channels, from the model's configuration, its processor's means, or the images."""
    means = getattr(prepare, "image_mean", None)
    named = channels_of(model_dir) or (len(means) if isinstance(means, (list, tuple)) else None)
    return named or max((image.shape[2] for image in pixels), default=RGB)


def plain(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels as (channels, height, width), integers divided by 255."""
    scale = 255.0 if image.dtype.kind in "ui" else 1.0
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(scale)


def _processed(pixels: Sequence[NDArray[Any]], names: Sequence[str], prepare: Any) -> list[NDArray[np.float32]]:
    prepared: list[NDArray[np.float32]] = []
    for start in range(0, len(pixels), PREPARE_AT_ONCE):
        part = [whole_bytes(image) for image in pixels[start : start + PREPARE_AT_ONCE]]
        try:
            prepared.extend(_values(prepare, part))
        except LIBRARY_ERRORS:
            # One by one, to identify the bad image; the caller reports images of different sizes.
            prepared.extend(_one_by_one(prepare, part, names[start:]))
    return prepared


def _one_by_one(prepare: Any, images: Sequence[NDArray[Any]], names: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    for image, name in zip(images, names, strict=False):
        try:
            yield from _values(prepare, [image])
        except LIBRARY_ERRORS as error:
            problem = f"the model's image processor refuses {name}: {cause(error)}"
            raise bad_data(FIELD, image.shape, problem, "give images as the model was trained on") from error


def _values(prepare: Any, images: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    pixels = prepare(images=images, return_tensors="np", input_data_format="channels_last")["pixel_values"]
    return np.asarray(pixels, dtype=np.float32)


def processor(model_dir: Path) -> Any:
    """Load the image processor in preprocessor_config.json, in its version without torchvision.

    Raises InvalidInput if it does not load, or needs remote code.
    """
    import transformers  # takes seconds to import; only images need it

    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        named = str(json.loads((model_dir / PREPROCESSOR).read_text()).get("image_processor_type", ""))
        # AutoImageProcessor prefers the class of the model's type to the class in the file.
        known = getattr(transformers, f"{named.removesuffix('Fast').removesuffix('Pil')}Pil", None)
        if named and isinstance(known, type):
            return known.from_pretrained(model_dir, **options)  # type: ignore[attr-defined]
        return transformers.AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            model_dir, backend="pil", **options
        )
    except (OSError, *LIBRARY_ERRORS) as error:
        problem = f"it cannot be loaded: {cause(error)}"
        remedy = f"correct {PREPROCESSOR}, or remove it for plain pixels"
        raise bad_data("spec.model.source", PREPROCESSOR, problem, remedy) from error


def whole_bytes(image: NDArray[Any]) -> NDArray[Any]:
    """Return pixels from 0 to 255 as bytes, which image processors scale; return others unchanged."""
    if image.dtype.kind in "ui" and image.dtype != np.uint8 and image.min() >= 0 and image.max() <= 255:
        return image.astype(np.uint8)
    return image
