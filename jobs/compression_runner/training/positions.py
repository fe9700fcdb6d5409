"""Models that answer at every position of a sequence: which positions count, and what the answers there are worth."""

from collections.abc import Sequence
from typing import Final

import torch
from torch.nn import functional

from compression_runner.dataset.writing import DECODER
from compression_runner.training.batches import Batch
from compressionjob.tasks import TASKS, Task

POSITIONS: Final = 2048
"""In a batch at most, but for a sequence that is longer: each has as many logits as there are words."""
SEQUENTIAL: Final = frozenset(task for task, traits in TASKS.items() if traits.running_text or traits.writes)
"""Tasks whose models give logits (batch, sequence, vocabulary)."""


def counted(inputs: Sequence[torch.Tensor], names: Sequence[str], answers: torch.Tensor) -> torch.Tensor:
    """True for positions that are no padding, (batch, sequence) as in logits (batch, sequence, vocabulary).

    A decoder's sequence is filled up with the token that it starts with; frames of a recording (CTC) all count.
    """
    given = dict(zip(names, inputs, strict=True))
    if DECODER in given:
        tokens = given[DECODER]
        written = tokens != tokens[:, :1]
        written[:, 0] = True
        return written.flip(1).cumsum(1).flip(1) > 0
    if "attention_mask" in given:
        return given["attention_mask"].bool()
    return torch.ones(answers.shape[:2], dtype=torch.bool, device=answers.device)


def slices(batch: Batch, names: Sequence[str], task: Task) -> list[tuple[Batch, float]]:
    """A batch in parts whose logits memory holds, with the share that each has of the positions that count.

    It is whole where a sample has one answer, and for recordings, whose frames (CTC) have few classes.
    """
    given = dict(zip(names, batch.inputs, strict=True))
    told = next((given[name] for name in (DECODER, "attention_mask") if name in given), None)
    if task not in SEQUENTIAL or told is None or told.numel() <= POSITIONS:
        return [(batch, 1.0)]
    counts = counted(batch.inputs, names, told).sum(1)
    size = max(1, POSITIONS // told.shape[1])
    return [
        (batch.rows(start, start + size), float(counts[start : start + size].sum() / counts.sum()))
        for start in range(0, len(told), size)
    ]


def next_token_loss(logits: torch.Tensor, tokens: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the token that follows: logits (batch, sequence, vocabulary), tokens (batch, sequence)."""
    follows = counts[:, 1:] & counts[:, :-1]
    return functional.cross_entropy(logits[:, :-1][follows], tokens[:, 1:][follows])
