"""Train a small video transformer (VideoMAE, arXiv:2203.12602) from scratch, without masked pretraining."""

# torch and transformers annotate little of what training calls.
# mypy: disallow-untyped-calls=False

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import VideoMAEConfig, VideoMAEForVideoClassification

from samples import checkpoints

SEED = 20261124
EPOCHS = 25
BATCH = 64


def train(frames: NDArray[np.uint8], labels: NDArray[np.int64], names: Sequence[str], into: Path) -> None:
    """Train on grey videos; write a Transformers folder with half-precision weights.

    Frames have the shape (n, time, size, size, 1), labels (n,). The model's inputs are pixels divided by 255.
    """
    _, length, size, _, _ = frames.shape
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model: Any = VideoMAEForVideoClassification(
        VideoMAEConfig(
            image_size=size,
            patch_size=8,
            num_channels=1,
            num_frames=length,
            tubelet_size=2,
            hidden_size=96,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=192,
            id2label=dict(enumerate(names)),
            label2id={name: index for index, name in enumerate(names)},
        )
    )
    pixels = torch.from_numpy(frames).permute(0, 1, 4, 2, 3)
    target = torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=5e-2)
    steps = EPOCHS * -(-len(target) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.5e-3, total_steps=steps, pct_start=0.2)
    random = np.random.default_rng(SEED)
    model.train()
    for epoch in range(EPOCHS):
        for index in torch.from_numpy(random.permutation(len(target))).split(BATCH):
            batch, label = _rotated(pixels[index].float() / 255, target[index], int(random.integers(0, 4)))
            loss = torch.nn.functional.cross_entropy(model(pixel_values=batch).logits, label)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)  # noqa: T201
    model.config.architectures = [type(model).__name__]
    model.eval().config.save_pretrained(into)
    checkpoints.write_float16(into, {name: value.numpy() for name, value in model.state_dict().items()})


def _rotated(batch: torch.Tensor, labels: torch.Tensor, quarters: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return videos rotated to the left by quarter turns, with their new directions."""
    after = torch.tensor([3, 2, 0, 1])  # left becomes down, right up, up left, down right
    for _ in range(quarters):
        labels = after[labels]
    return batch.rot90(quarters, (3, 4)), labels
