"""Images as pixel arrays, prepared as the model's preprocessor_config.json says."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from compression_runner.dataset.problems import COLUMNS, bad_data, row_name
from compression_runner.dataset.table import Column

FIELD = f"{COLUMNS}.image"
PREPARE_AT_ONCE = 256
PREPROCESSOR = "preprocessor_config.json"


def prepare_images(images: Column, model_dir: Path) -> list[NDArray[np.float32]]:
    """Return each image as an array of shape (channels, height, width).

    An image is encoded bytes (PNG, JPEG), a mapping with them under "bytes", or pixels of shape (height, width) or
    (height, width, channels). Without a preprocessor_config.json, pixels of whole numbers are divided by 255 and others
    are taken as they are. Raises InvalidInput for anything that is not an image.
    """
    pixels = [pixels_of(image, row) for row, image in enumerate(images)]
    if (model_dir / PREPROCESSOR).is_file():
        return _processed(pixels, model_dir)
    return [plain(image) for image in pixels]


def pixels_of(image: Any, row: int, field: str = FIELD) -> NDArray[Any]:
    """Return an image, or a frame of a video, as an array of shape (height, width, channels).

    Raises InvalidInput, naming `field` and the row, for what is not an image.
    """
    encoded = image.get("bytes") if isinstance(image, dict) else image
    if isinstance(encoded, bytes):
        try:
            with Image.open(io.BytesIO(encoded)) as opened:
                array = np.asarray(opened if opened.mode in ("L", "RGB") else opened.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise bad_data(
                field, f"{len(encoded)} bytes", f"{row_name(row, image)}: {error}", "give PNG or JPEG images"
            ) from error
    else:
        array = _array(encoded, row, field)
    return array[:, :, np.newaxis] if array.ndim == 2 else array


def _array(values: Any, row: int, field: str) -> NDArray[Any]:
    remedy = "give encoded images (PNG, JPEG) or arrays of height x width or height x width x channels"
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise bad_data(field, type(values).__name__, f"row {row} is not an image: {error}", remedy) from error
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise bad_data(field, f"{array.dtype} {array.shape}", f"row {row} is not an image", remedy)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise bad_data(field, "NaN or infinity", f"row {row} has pixels that are not finite", "give finite pixels")
    return array


def plain(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels as (channels, height, width), whole numbers divided by 255."""
    scale = 255.0 if image.dtype.kind in "ui" else 1.0
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(scale)


def _processed(pixels: Sequence[NDArray[Any]], model_dir: Path) -> list[NDArray[np.float32]]:
    prepare = processor(model_dir)
    prepared: list[NDArray[np.float32]] = []
    for start in range(0, len(pixels), PREPARE_AT_ONCE):
        part = [whole_bytes(image) for image in pixels[start : start + PREPARE_AT_ONCE]]
        try:
            values = prepare(images=part, return_tensors="np", input_data_format="channels_last")["pixel_values"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"the model's image processor refuses image {start} or one of the next: {error}"
            raise bad_data(FIELD, part[0].shape, problem, "give images as the model was trained on") from error
        prepared.extend(np.asarray(values, dtype=np.float32))
    return prepared


def processor(model_dir: Path) -> Any:
    """Load the image processor that preprocessor_config.json names, in its version without torchvision.

    Raises InvalidInput where it cannot be loaded without code of its own.
    """
    import transformers  # takes seconds to import; only images need it

    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        named = str(json.loads((model_dir / PREPROCESSOR).read_text()).get("image_processor_type", ""))
        # AutoImageProcessor prefers the class that goes with the model's type to the one that the file names.
        known = getattr(transformers, f"{named.removesuffix('Fast').removesuffix('Pil')}Pil", None)
        if named and isinstance(known, type):
            return known.from_pretrained(model_dir, **options)  # type: ignore[attr-defined]
        return transformers.AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            model_dir, backend="pil", **options
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        problem, remedy = f"it cannot be loaded: {error}", f"correct {PREPROCESSOR}, or remove it for plain pixels"
        raise bad_data("spec.model.source", PREPROCESSOR, problem, remedy) from error


def whole_bytes(image: NDArray[Any]) -> NDArray[Any]:
    """Return pixels from 0 to 255 as bytes, which is what image processors scale; others as they are."""
    if image.dtype.kind in "ui" and image.dtype != np.uint8 and image.min() >= 0 and image.max() <= 255:
        return image.astype(np.uint8)
    return image
