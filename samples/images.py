"""The image sample: Fashion-MNIST and a small ResNet trained on it."""

import gzip
import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from samples.packages import debian

LABELS = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot")


def read(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 28, 28) and labels (n,) of `train` or `t10k`."""
    folder = debian("dataset-fashion-mnist") / "usr/share/datasets/fashion-mnist"
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8).astype(np.int64),
    )


CHECKPOINT = Path(__file__).parent / "fashion-resnet"


def fashion(destination: Path, count: int = 2000) -> None:
    """Write model/ (a ResNet of 78,000 weights) and images.parquet (image: PNG bytes, label)."""
    images, labels = read("t10k")
    destination.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": [png(image) for image in images[:count]], "label": labels[:count]})
    pq.write_table(table, destination / "images.parquet")
    shutil.copytree(CHECKPOINT, destination / "model", dirs_exist_ok=True)


def train_fashion(destination: Path) -> None:
    """Train the ResNet of the shipped checkpoint, some minutes on two cores."""
    from samples.training import fashion_resnet

    fashion_resnet(*read("train"), destination, LABELS)


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an image (28, 28) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()
