"""Convert encoded images and arrays to pixels, upright and with the channels of the model.

Encoded images are read as in `load_image` of transformers: rotated by their EXIF orientation, the first of several
frames, and converted to RGB from any mode.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from compression_runner.dataset.model_config import model_config
from compression_runner.dataset.problems import COLUMNS, bad_data, row_name

FIELD: Final = f"{COLUMNS}.image"
DAMAGE: Final = (
    OSError, SyntaxError, ValueError, TypeError, AttributeError, RuntimeError, LookupError, ArithmeticError, EOFError,
    struct.error, zlib.error,
)  # fmt: skip
"""Errors that Pillow's readers raise for damaged files: each format has its own."""
RGB: Final = 3
WITH_ALPHA: Final = 4


def channels_of(model_dir: Path) -> int | None:
    """Return the number of channels in config.json; None if it has none."""
    named: Any = model_config(model_dir) or {}
    for part in (named, named.get("vision_config"), named.get("backbone_config")):
        count = part.get("num_channels") if isinstance(part, Mapping) else None
        if isinstance(count, int) and count > 0:
            return count
    return None


def pixels_of(image: Any, row: int, field: str = FIELD) -> NDArray[Any]:
    """Return an image, or a frame of a video, as an array of shape (height, width, channels).

    An encoded image has one channel if it is grey, otherwise three. Raises InvalidInput, with `field` and the row, for
    a value that is not an image.
    """
    encoded = image.get("bytes") if isinstance(image, dict) else image
    if isinstance(image, dict) and encoded is None:
        problem = f"{row_name(row, image)} has no bytes"
        raise bad_data(
            field, image.get("path"), problem, "store the images in the file (datasets: embed_external_files)"
        )
    if isinstance(encoded, bytes):
        return _decoded(encoded, row_name(row, image), field)
    array = _array(encoded, row, field)
    return array[:, :, np.newaxis] if array.ndim == 2 else array


def with_channels(pixels: NDArray[Any], channels: int, name: str, field: str = FIELD) -> NDArray[Any]:
    """Return pixels (height, width, channels) for a model with `channels` channels.

    Grey becomes three equal channels and an alpha channel is dropped, as in Pillow; other numbers of channels stay
    unchanged. Raises InvalidInput, with the name of the image, for a colour image if the model takes grey images.
    """
    count = pixels.shape[2]
    if count == 1 and channels == RGB:
        return np.repeat(pixels, RGB, axis=2)
    if count == WITH_ALPHA and channels == RGB and pixels.dtype == np.uint8:
        return pixels[:, :, :RGB]
    if count == RGB and channels == 1 and pixels.dtype == np.uint8:
        if not _is_grey(pixels):
            problem = f"{name} is a colour image, and the model takes one channel"
            raise bad_data(field, f"{count} channels", problem, "convert the images to greyscale as in training")
        return pixels[:, :, :1]
    return pixels


def _decoded(encoded: bytes, name: str, field: str) -> NDArray[np.uint8]:
    size, remedy = f"{len(encoded)} bytes", "give PNG or JPEG images, or leave the row out"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about palettes with transparency and sizes; neither affects pixels
            with Image.open(io.BytesIO(encoded)) as opened:
                grey = opened.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
                array = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except UnidentifiedImageError as error:
        raise bad_data(field, size, f"{name} is not an image that Pillow can read", remedy) from error
    except Image.DecompressionBombError as error:
        problem = f"{name} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels, or is damaged"
        raise bad_data(field, size, problem, "give smaller images, or leave the row out") from error
    except DAMAGE as error:
        raise bad_data(field, size, f"{name} is damaged or cut off", remedy) from error
    return array[:, :, :1] if grey else array


def _array(values: Any, row: int, field: str) -> NDArray[Any]:
    remedy = "give encoded images (PNG, JPEG) or arrays of height x width or height x width x channels"
    try:
        array = np.asarray(values)
    except ValueError as error:
        problem = f"row {row} is not an image: its rows differ in length"
        raise bad_data(field, type(values).__name__, problem, remedy) from error
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise bad_data(field, f"{array.dtype} {array.shape}", f"row {row} is not an image", remedy)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise bad_data(field, "NaN or infinity", f"row {row} has pixels that are not finite", "give finite pixels")
    return array


def _is_grey(pixels: NDArray[Any]) -> bool:
    return bool((pixels == pixels[:, :, :1]).all())
