"""Distillation on a GPU, beside the same on the CPU: losses, seconds, energy and noise of the GPU."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.methods import distill
from compression_runner.stages.method import StageContext
from compressionjob.data import DataRole
from compressionjob.methods.distill import Distill

VOCABULARY, LENGTH, CLASSES = 1000, 64, 4
CHANGED_LOSS: Final = 0.05
"""Largest relative difference of the last loss: the same seed and batches, and sums in another order."""


@dataclass
class RandomData:
    """Random tokens whose class depends on the first; the data of the stage."""

    tokens: SampleSet
    source: Artifact
    sequence_length: int = LENGTH

    def samples(self, _role: DataRole, _model_dir: Path) -> SampleSet:
        """Return the tokens."""
        return self.tokens

    def teacher(self) -> Artifact:
        """Return the source model."""
        return self.source

    def model(self, location: str) -> Artifact:
        """Return a model by its location; the stage names none."""
        raise ValueError(f"{location} is not part of this check")


def check_training(samples: int, hidden: int, folder: Path) -> dict[str, Any]:
    """Return losses, seconds and the figures of the GPU for a student with half of the layers of a random teacher."""
    data = RandomData(_tokens(samples), _teacher(hidden, folder / "teacher"))
    results = {}
    for name, usable in (("gpu", torch.cuda.is_available()), ("cpu", False)):
        with patch.object(torch.cuda, "is_available", lambda usable=usable: usable):
            results[name] = _distilled(data, folder / name)
    (gpu, gpu_seconds), (cpu, cpu_seconds) = results["gpu"], results["cpu"]
    moved = abs(gpu["losses"][-1] / cpu["losses"][-1] - 1)
    return {
        "cpuSeconds": round(cpu_seconds, 2),
        "gpuSeconds": round(gpu_seconds, 2),
        "cpuLosses": cpu["losses"],
        "gpuLosses": gpu["losses"],
        "gpu": gpu.get("gpu", {}),
        "passed": moved <= CHANGED_LOSS,
    }


def _distilled(data: RandomData, into: Path) -> tuple[dict[str, Any], float]:
    into.mkdir()
    parameters = Distill.model_validate(
        {
            "student": {"layers": 2},
            "losses": {"output": "1", "labels": "0.2", "hidden": "0"},
            "training": {"epochs": 2, "batchSize": 32, "learningRate": "0.001", "seed": 1},
        }
    )
    start = time.perf_counter()
    outcome = distill.run(data.source, parameters, StageContext(into, "spec.pipeline[0].distill", data=data))
    return dict(outcome.details), time.perf_counter() - start


def _teacher(hidden: int, folder: Path) -> Artifact:
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=4,
        num_attention_heads=hidden // 32,
        intermediate_size=4 * hidden,
        max_position_embeddings=LENGTH,
        id2label={number: f"class-{number}" for number in range(CLASSES)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return seal(folder, "transformers", "text-classification")


def _tokens(count: int) -> SampleSet:
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, (count, LENGTH))
    zeros = np.zeros_like(tokens[0])
    samples = [{"input_ids": row, "attention_mask": zeros + 1, "token_type_ids": zeros} for row in tokens]
    padding = dict.fromkeys(samples[0], 0)
    return SampleSet(samples=samples, digest="sha256:0", labels=tokens[:, 0] % CLASSES, padding=padding)
