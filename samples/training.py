"""Train the two small classifiers of the samples with fixed seeds, about a minute each on two cores."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    ResNetConfig,
    ResNetForImageClassification,
)

SEED = 20261124


def gloss_classifier(base: Path, into: Path, texts: Sequence[str], labels: Sequence[int], names: Sequence[str]) -> None:
    """Train a classification head on MiniLM's pooled output, without the backbone."""
    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = BertForSequenceClassification.from_pretrained(
        base,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        use_safetensors=True,
    ).eval()
    features = []
    with torch.no_grad():
        for start in range(0, len(texts), 64):
            batch = tokenizer(
                list(texts[start : start + 64]), padding=True, truncation=True, max_length=64, return_tensors="pt"
            )
            features.append(model.bert(**batch).last_hidden_state[:, 0])
    first = torch.cat(features)
    target = torch.tensor(list(labels))
    head = [*model.bert.pooler.parameters(), *model.classifier.parameters()]
    optimizer = torch.optim.AdamW(head, lr=1e-3, weight_decay=1e-2)
    for _ in range(15):
        for index in torch.randperm(len(target)).split(64):
            hidden = torch.tanh(model.bert.pooler.dense(first[index]))
            loss = torch.nn.functional.cross_entropy(model.classifier(hidden), target[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)


def fashion_resnet(
    images: NDArray[np.uint8], labels: NDArray[np.int64], into: Path, names: Sequence[str], epochs: int = 3
) -> None:
    """Train a ResNet with three stages on images (n, 28, 28) of one channel."""
    torch.manual_seed(SEED)
    config = ResNetConfig(
        num_channels=1,
        embedding_size=16,
        hidden_sizes=[16, 32, 64],
        depths=[1, 1, 1],
        layer_type="basic",
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    model = ResNetForImageClassification(config)
    pixels = torch.from_numpy(images.astype(np.float32) / 255.0).sub(0.5).div(0.5).unsqueeze(1)
    target = torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    steps = epochs * -(-len(target) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for _ in range(epochs):
        for index in torch.randperm(len(target)).split(128):
            loss = model(pixel_values=pixels[index], labels=target[index]).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval().save_pretrained(into)
    (into / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "ViTImageProcessor",
                "do_resize": True,
                "size": {"height": 28, "width": 28},
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": [0.5],
                "image_std": [0.5],
            },
            indent=2,
        )
        + "\n"
    )
