"""Train a small Audio Spectrogram Transformer (arXiv:2104.01778) from scratch on recordings at 8 kHz."""

# torch and transformers annotate little of what training calls.
# mypy: disallow-untyped-calls=False

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from samples import checkpoints

SEED = 20261124
EPOCHS = 40
BATCH = 64
RATE = 8000
BINS = 64
FRAMES = 128
"""2.56 seconds."""

Spectrogram = NDArray[np.float32]
"""Log-mel spectrogram, (frames, bins), before normalization."""


def train(wavs: Sequence[bytes], labels: Sequence[int], names: Sequence[str], into: Path) -> None:
    """Train the model and write a Transformers folder with half-precision weights to `into`."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    plain = ASTFeatureExtractor(sampling_rate=RATE, num_mel_bins=BINS, max_length=FRAMES, do_normalize=False)
    spectrograms = [_spectrogram(plain, wav) for wav in wavs]
    values = np.concatenate(spectrograms)
    mean, deviation = float(values.mean()), float(values.std())
    model: Any = ASTForAudioClassification(
        ASTConfig(
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=256,
            patch_size=16,
            frequency_stride=16,
            time_stride=8,
            max_length=FRAMES,
            num_mel_bins=BINS,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
            id2label=dict(enumerate(names)),
            label2id={name: index for index, name in enumerate(names)},
        )
    )
    target = torch.tensor(list(labels))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=5e-2)
    steps = EPOCHS * -(-len(target) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps, pct_start=0.2)
    random = np.random.default_rng(SEED)
    model.train()
    for epoch in range(EPOCHS):
        for index in torch.from_numpy(random.permutation(len(target))).split(BATCH):
            views = np.stack([_view(spectrograms[row], mean, random) for row in index.tolist()])
            batch = torch.from_numpy(((views - mean) / (2 * deviation)).astype(np.float32))
            logits = model(input_values=batch).logits
            loss = torch.nn.functional.cross_entropy(logits, target[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)  # noqa: T201
    model.config.architectures = [type(model).__name__]
    model.eval().config.save_pretrained(into)
    checkpoints.write_float16(into, {name: value.numpy() for name, value in model.state_dict().items()})
    ASTFeatureExtractor(
        sampling_rate=RATE, num_mel_bins=BINS, max_length=FRAMES, mean=mean, std=deviation
    ).save_pretrained(into)


def _spectrogram(extractor: Any, wav: bytes) -> Spectrogram:
    """Return the spectrogram of the whole recording, at least one frame."""
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32")
    # The extractor's frames have 400 samples, with a hop of 160.
    extractor.max_length = max(1, 1 + (len(samples) - 400) // 160)
    spectrogram: Spectrogram = extractor(samples, sampling_rate=RATE, return_tensors="np")["input_values"][0]
    return spectrogram


def _view(whole: Spectrogram, mean: float, random: np.random.Generator) -> Spectrogram:
    """Return a random part of a recording with random loudness and two masks, as SpecAugment (arXiv:1904.08779).

    It has the shape of the extractor's output.
    """
    start = random.integers(0, max(1, min(len(whole) - FRAMES, 40) + 1)) if len(whole) > FRAMES else 0
    view = np.zeros((FRAMES, BINS), dtype=np.float32)
    part = whole[start : start + FRAMES] + np.float32(random.normal(0, 0.7))
    late = random.integers(0, max(1, min(8, FRAMES - len(part)) + 1))
    # The extractor pads with zeros.
    view[late : late + len(part)] = part[: FRAMES - late]
    time, wide = random.integers(0, FRAMES), random.integers(0, 24)
    view[time : time + wide] = mean
    frequency, high = random.integers(0, BINS), random.integers(0, 10)
    view[:, frequency : frequency + high] = mean
    return view
