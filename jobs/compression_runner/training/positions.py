"""Models with an output at every position of a sequence: positions that count, and the next-token loss."""

from collections.abc import Sequence
from typing import Final

import torch
from torch.nn import functional

from compression_runner.dataset.generation import DECODER
from compression_runner.training.batches import Batch
from compressionjob.tasks import TASKS, Task

POSITIONS: Final = 2048
"""Maximum positions of a batch (a longer sequence is a batch of its own): each has logits of the whole vocabulary."""
SEQUENTIAL: Final = frozenset(task for task, traits in TASKS.items() if traits.running_text or traits.writes)
"""Tasks whose models give logits (batch, sequence, vocabulary)."""


def counted(inputs: Sequence[torch.Tensor], names: Sequence[str], answers: torch.Tensor) -> torch.Tensor:
    """Return True for positions without padding, (batch, sequence), for logits (batch, sequence, vocabulary).

    The padding of a decoder's sequence is its start token. All frames of a recording (CTC) count.
    """
    named_inputs = dict(zip(names, inputs, strict=True))
    if DECODER in named_inputs:
        tokens = named_inputs[DECODER]
        written = tokens != tokens[:, :1]
        written[:, 0] = True
        return written.flip(1).cumsum(1).flip(1) > 0
    if "attention_mask" in named_inputs:
        return named_inputs["attention_mask"].bool()
    return torch.ones(answers.shape[:2], dtype=torch.bool, device=answers.device)


def slices(batch: Batch, names: Sequence[str], task: Task) -> list[tuple[Batch, float]]:
    """Split a batch into parts whose logits fit memory, each with its share of the positions that count.

    A batch stays whole if a sample has one output, and for recordings, whose frames (CTC) have few classes.
    """
    named_inputs = dict(zip(names, batch.inputs, strict=True))
    tokens = next((named_inputs[name] for name in (DECODER, "attention_mask") if name in named_inputs), None)
    if task not in SEQUENTIAL or tokens is None or tokens.numel() <= POSITIONS:
        return [(batch, 1.0)]
    counts = counted(batch.inputs, names, tokens).sum(1)
    size = max(1, POSITIONS // tokens.shape[1])
    return [
        (batch.rows(start, start + size), float(counts[start : start + size].sum() / counts.sum()))
        for start in range(0, len(tokens), size)
    ]


def next_token_loss(logits: torch.Tensor, tokens: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return the mean next-token cross entropy of logits (batch, sequence, vocabulary), tokens (batch, sequence)."""
    follows = counts[:, 1:] & counts[:, :-1]
    return functional.cross_entropy(logits[:, :-1][follows], tokens[:, 1:][follows])
