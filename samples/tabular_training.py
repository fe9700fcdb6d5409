"""Train a small network on a table and write it as ONNX."""

# torch annotates little of what training calls.
# mypy: disallow-untyped-calls=False

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

SEED = 20261124
WIDTH = 128
STEPS = {"classification": 600, "regression": 100}
"""Steps of the optimizer. A longer regression overfits: in 4-fold cross-validation 100 steps were best."""
BATCH = 64


class Standardised(nn.Module):
    """Layer that normalizes raw features to mean 0 and standard deviation 1."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, features: torch.Tensor) -> None:
        """Compute mean and standard deviation of features (rows, columns)."""
        super().__init__()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("deviation", features.std(0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Take and return (batch, columns)."""
        return (features - self.mean) / self.deviation


class Scaled(nn.Module):
    """Layer that scales a regression's output from mean 0 and standard deviation 1 to those of the target."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, targets: torch.Tensor) -> None:
        """Compute mean and standard deviation of targets (rows,)."""
        super().__init__()
        self.register_buffer("mean", targets.mean())
        self.register_buffer("deviation", targets.std())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Take and return (batch, 1)."""
        return values * self.deviation + self.mean


def train(features: NDArray[np.float64], answers: NDArray[np.generic], outputs: int, into: Path) -> None:
    """Train two hidden layers on features (rows, columns); `outputs` is 1 for a regression, else the class count."""
    torch.manual_seed(SEED)
    rows = torch.from_numpy(features.astype(np.float32))
    target = torch.from_numpy(answers.astype(np.float32 if outputs == 1 else np.int64))
    model = nn.Sequential(
        Standardised(rows),
        nn.Linear(rows.shape[1], WIDTH),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(WIDTH, outputs),
        Scaled(target) if outputs == 1 else nn.Identity(),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-1)
    steps = STEPS["regression" if outputs == 1 else "classification"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    scale = float(target.std()) if outputs == 1 else 1.0
    for _ in range(steps):
        index = torch.randint(len(rows), (BATCH,))
        predictions = model(rows[index])
        if outputs == 1:
            loss = nn.functional.mse_loss(predictions[:, 0] / scale, target[index] / scale)
        else:
            loss = nn.functional.cross_entropy(predictions, target[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    _export(model.eval(), rows[:2], into)


def _export(model: nn.Module, example: torch.Tensor, into: Path) -> None:
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        input_names=["features"],
        output_names=["logits" if model[-2].out_features > 1 else "prediction"],  # type: ignore[index]
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    assert program is not None
    graph = program.model_proto
    for node in graph.graph.node:
        # The exporter's metadata contains paths of this machine.
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, into)
