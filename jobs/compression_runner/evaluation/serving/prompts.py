"""Prompts of a fixed length, cut from the evaluation data of a language model."""

from typing import Final

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT

MOST_PROMPTS: Final = 1024
FEWEST_PROMPTS: Final = 8
"""With fewer, the requests are too much alike."""
TOKENS: Final = "input_ids"


def prompts_of(data: SampleSet, tokens: int) -> list[list[int]]:
    """Return up to MOST_PROMPTS prompts of `tokens` tokens: the text of all windows, cut anew.

    If every window begins with the same token, so does every prompt. Raises InvalidInput if the data has too little
    text.
    """
    windows = [np.asarray(sample[TOKENS], dtype=np.int64) for sample in data.samples]
    front = _front(windows)
    body = tokens - len(front)
    text = np.concatenate([window[len(front) :] for window in windows])
    count = len(text) // body if body > 0 else 0
    if count < FEWEST_PROMPTS:
        problem = f"the evaluation data has {len(text):,} tokens, and {FEWEST_PROMPTS} prompts need more"
        remedy = "give more text, a higher spec.data.evaluation.limit, or fewer tokens of a prompt"
        raise InvalidInput(INVALID_INPUT, "spec.benchmark.serving.promptTokens", tokens, problem, remedy)
    pieces = text[: count * body].reshape(count, body)[:MOST_PROMPTS]
    return [[*front, *piece.tolist()] for piece in pieces]


def _front(windows: list["np.ndarray[tuple[int], np.dtype[np.int64]]"]) -> list[int]:
    """Return the token that begins every window, as a list; empty without one."""
    first = {int(window[0]) for window in windows if len(window)}
    return list(first) if len(windows) > 1 and len(first) == 1 else []
