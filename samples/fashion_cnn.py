"""The image sample for every method: all of Fashion-MNIST and a ResNet of 0.7 million weights trained on it."""

# torch and transformers annotate little of what training calls.
# mypy: disallow-untyped-calls=False

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from samples import checkpoints
from samples.images import LABELS, png, read

SEED = 20261124
CHECKPOINT = Path(__file__).parent / "fashion-cnn"
EPOCHS = 16
BATCH = 128
MEAN, DEVIATION = 0.2860, 0.3530
"""Mean and standard deviation of the training pixels, scaled to [0, 1]."""


def fashion_cnn(destination: Path) -> None:
    """Write model/ (float32), train.parquet (60,000) and test.parquet (10,000 rows: image as PNG, label)."""
    destination.mkdir(parents=True, exist_ok=True)
    for part, name in (("train", "train"), ("t10k", "test")):
        images, labels = read(part)
        table = pa.table({"image": [png(image) for image in images], "label": labels})
        pq.write_table(table, destination / f"{name}.parquet")
    checkpoints.unpack(CHECKPOINT, destination / "model")


def train_fashion_cnn(destination: Path) -> None:
    """Train the shipped checkpoint, about ten minutes on one core."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # a second thread hardly helps, and it slows training down on a busy machine
    model: Any = ResNetForImageClassification(
        ResNetConfig(
            num_channels=1,
            embedding_size=32,
            hidden_sizes=[64, 96, 128],
            depths=[2, 2, 1],
            layer_type="basic",
            id2label=dict(enumerate(LABELS)),
            label2id={name: index for index, name in enumerate(LABELS)},
        )
    )
    model.to(memory_format=torch.channels_last)
    images, labels = read("train")
    pixels, target = torch.from_numpy(_normalised(images)), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=2e-2)
    steps = EPOCHS * -(-len(target) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, pct_start=0.2)
    random = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        model.train()
        for index in torch.from_numpy(random.permutation(len(target))).split(BATCH):
            batch = torch.from_numpy(_augmented(pixels[index].numpy(), random))
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(pixel_values=batch.to(memory_format=torch.channels_last)).logits
            loss = torch.nn.functional.cross_entropy(logits.float(), target[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)  # noqa: T201
    model.config.architectures = [type(model).__name__]
    model.eval().config.save_pretrained(destination)
    state = model.to(memory_format=torch.contiguous_format).state_dict()
    checkpoints.write_float16(destination, {name: value.numpy() for name, value in state.items()})
    _write_preprocessor(destination)


def _normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images (n, 28, 28) as the model's input, (n, 1, 28, 28)."""
    return ((images.astype(np.float32) / 255 - MEAN) / DEVIATION)[:, np.newaxis].astype(np.float32)


def _augmented(batch: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return images (n, 1, 28, 28) shifted by up to two pixels in each direction, half of them mirrored."""
    ground = np.float32(-MEAN / DEVIATION)
    padded = np.pad(batch, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=ground)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(2, 3))
    down, right = random.integers(0, 5, (2, len(batch)))
    shifted = windows[np.arange(len(batch)), :, down, right]
    mirrored = random.random(len(batch)) < 0.5
    return np.where(mirrored[:, None, None, None], shifted[..., ::-1], shifted)


def _write_preprocessor(into: Path) -> None:
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 28, "width": 28},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [MEAN],
        "image_std": [DEVIATION],
    }
    (into / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
