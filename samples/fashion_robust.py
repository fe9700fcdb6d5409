"""The adversarially robust image sample: the small ResNet for Fashion-MNIST, trained on attacked images."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samples import checkpoints, images

SEED = 0
SHIPPED = Path(__file__).parent / "fashion-robust"
EPSILON = 0.1
"""Largest change of a pixel, as a share of its range."""
TRAINED_ON, STEPS, BATCH = 20_000, 250, 128


def fashion_robust(destination: Path, count: int = 2000) -> None:
    """Write model/ (a ResNet of 78,000 weights) and images.parquet (image: PNG bytes, label)."""
    pixels, labels = images.read("t10k")
    destination.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": [images.png(image) for image in pixels[:count]], "label": labels[:count]})
    pq.write_table(table, destination / "images.parquet")
    checkpoints.unpack(SHIPPED, destination / "model")


def train_fashion_robust(destination: Path) -> None:
    """Train the shipped checkpoint from that of the sample `fashion`, about a minute on two cores.

    Every batch is attacked with one step from a random start before the training step (E. Wong, L. Rice, J. Z. Kolter,
    Fast Is Better than Free, ICLR 2020).
    """
    import torch
    from transformers import ResNetForImageClassification

    torch.manual_seed(SEED)
    model: Any = ResNetForImageClassification.from_pretrained(images.CHECKPOINT, attn_implementation="eager").train()
    raw, targets = images.read("train")
    pixels = torch.from_numpy(((raw[:TRAINED_ON].astype(np.float32) / 255 - 0.5) / 0.5)[:, np.newaxis])
    labels = torch.from_numpy(targets[:TRAINED_ON])
    reach = EPSILON * 2  # pixels are from -1 to 1
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=STEPS)

    def loss_of(changed: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(changed.clamp(-1, 1)).logits, wanted)

    for _ in range(STEPS):
        index = torch.randint(len(pixels), (BATCH,))
        batch, wanted = pixels[index], labels[index]
        change = torch.empty_like(batch).uniform_(-reach, reach).requires_grad_()
        (slope,) = torch.autograd.grad(loss_of(batch + change, wanted), change)
        change = (change + 1.25 * reach * slope.sign()).clamp(-reach, reach).detach()
        loss = loss_of(batch + change, wanted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval().config.save_pretrained(destination)
    checkpoints.write_float16(destination, {name: value.numpy() for name, value in model.state_dict().items()})
    shutil.copyfile(images.CHECKPOINT / "preprocessor_config.json", destination / "preprocessor_config.json")
