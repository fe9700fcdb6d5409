"""Images of every mode and orientation are read like in the loader and processor of transformers."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from transformers import ViTImageProcessor
from transformers.image_utils import load_image

from compression_runner.dataset.images import prepare_images
from compression_runner.errors import InvalidInput

PIXELS = np.random.default_rng(5).integers(0, 256, (4, 6, 3)).astype(np.uint8)
COLOUR = Image.fromarray(PIXELS)
TURNED = 6
"""EXIF orientation of a phone in portrait position."""


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    about = COLOUR.getexif()
    about[0x0112] = TURNED
    return encoded(COLOUR, "PNG", exif=about)


def moving() -> bytes:
    return encoded(COLOUR, "GIF", save_all=True, append_images=[Image.new("RGB", COLOUR.size)])


IMAGES: dict[str, Callable[[], bytes]] = {
    "colour": lambda: encoded(COLOUR),
    "grey": lambda: encoded(COLOUR.convert("L")),
    "grey with alpha": lambda: encoded(COLOUR.convert("LA")),
    "black and white": lambda: encoded(COLOUR.convert("1")),
    "palette": lambda: encoded(COLOUR.convert("P")),
    "palette with transparency": lambda: encoded(COLOUR.convert("P"), transparency=b"\x00\x80" * 8),
    "alpha": lambda: encoded(COLOUR.convert("RGBA")),
    "16 bits": lambda: encoded(Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6) * 30)),
    "print colours": lambda: encoded(COLOUR.convert("CMYK"), "JPEG"),
    "turned": turned,
    "moving": moving,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the folder of a model that takes three channels of 8 by 8 pixels."""
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", "num_channels": 3}))
    return tmp_path


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_images_equal_those_that_transformers_loads(name: str, model: Path) -> None:
    content = IMAGES[name]()
    own = load_image(f"data:image/png;base64,{base64.b64encode(content).decode()}")
    expected = ViTImageProcessor.from_pretrained(model)(own, return_tensors="np")["pixel_values"][0]
    alone, among = prepare_images([content], model), prepare_images([encoded(COLOUR), {"bytes": content}], model)
    assert np.allclose(alone[0], expected, atol=1e-6)
    assert np.array_equal(among[1], alone[0])


def test_grey_and_alpha_arrays_get_the_channels_of_the_model(model: Path) -> None:
    grey, alpha = PIXELS[:, :, 0], np.dstack([PIXELS, PIXELS[:, :, :1]])
    prepared = prepare_images([grey, alpha], model)
    expected = prepare_images([np.dstack([grey] * 3), PIXELS], model)
    assert all(np.array_equal(one, other) for one, other in zip(prepared, expected, strict=True))


def test_without_a_processor_grey_images_among_others_have_three_channels(tmp_path: Path) -> None:
    prepared = prepare_images([encoded(COLOUR.convert("L")), encoded(COLOUR)], tmp_path)
    assert [image.shape for image in prepared] == [(3, 4, 6)] * 2
    assert prepare_images([encoded(COLOUR.convert("L"))], tmp_path)[0].shape == (1, 4, 6)


def test_a_model_of_one_channel_takes_grey_images_of_any_mode(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_channels": 1}))
    grey = COLOUR.convert("L")
    prepared = prepare_images([encoded(grey), encoded(grey.convert("RGB")), encoded(grey.convert("P"))], tmp_path)
    assert all(np.array_equal(image, prepared[0]) for image in prepared)
    assert prepared[0].shape == (1, 4, 6)
    with pytest.raises(InvalidInput, match=r"columns\.image.*row 1 is a colour image.*greyscale"):
        prepare_images([encoded(grey), encoded(COLOUR)], tmp_path)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


BAD: dict[str, tuple[Any, str]] = {
    "cut off": ({"bytes": cut(encoded(COLOUR, "JPEG")), "path": "cat/1.jpg"}, r"row 1 \(cat/1\.jpg\) is damaged"),
    "cut off early": (encoded(COLOUR)[:20], r"row 1 is (damaged|not an image)"),
    "damaged": (encoded(COLOUR).replace(b"IDATx", b"IDAT\0"), r"row 1 is (damaged|not an image)"),
    "another file": (b"%PDF-1.7 and so on", r"row 1 is not an image that Pillow can read"),
    "a path alone": ({"bytes": None, "path": "cat.png"}, r"row 1 \(cat\.png\) has no bytes"),
    "rows of unlike length": ([[1, 2], [3]], r"row 1 is not an image: its rows differ in length"),
    "missing": (None, r"row 1 is not an image"),
}


@pytest.mark.parametrize(("image", "message"), BAD.values(), ids=BAD)
def test_a_bad_image_is_reported_with_its_row(image: Any, message: str, model: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"columns\.image.*{message}"):
        prepare_images([encoded(COLOUR), image], model)


def test_an_image_that_the_processor_refuses_is_reported_with_its_row(model: Path) -> None:
    wide: NDArray[Any] = np.zeros((4, 4, 7), np.uint8)
    with pytest.raises(InvalidInput, match=r"processor refuses row 1"):
        prepare_images([encoded(COLOUR), wide], model)


def test_images_of_different_sizes_need_a_resizing_processor(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"row 1 has shape \(3, 3, 3\).*row 0 \(3, 4, 6\).*one size"):
        prepare_images([PIXELS, PIXELS[:3, :3]], tmp_path)


@pytest.mark.parametrize("content", ["{", '{"image_processor_type": "NoSuchProcessor"}'])
def test_a_processor_that_cannot_be_loaded_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"'preprocessor_config\.json': it cannot be loaded: .*for plain pixels"):
        prepare_images([encoded(COLOUR)], tmp_path)
