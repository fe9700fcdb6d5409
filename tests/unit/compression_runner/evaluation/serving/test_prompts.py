"""Prompts from windows of running text."""

import numpy as np
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.serving.prompts import prompts_of


def windows(count: int, length: int, front: int | None = None) -> SampleSet:
    tokens = np.arange(100, 100 + count * length).reshape(count, length)
    if front is not None:
        tokens[:, 0] = front
    return SampleSet([{"input_ids": row} for row in tokens], "sha256:0")


def test_text_is_cut_anew_across_windows() -> None:
    prompts = prompts_of(windows(4, 30), 12)
    assert prompts[:3] == [list(range(100, 112)), list(range(112, 124)), list(range(124, 136))]
    assert len(prompts) == 10


def test_the_token_that_begins_every_window_begins_every_prompt() -> None:
    prompts = prompts_of(windows(4, 31, front=1), 13)
    assert {prompt[0] for prompt in prompts} == {1}
    assert all(len(prompt) == 13 and 1 not in prompt[1:] for prompt in prompts)


def test_too_little_text_names_the_tokens_that_there_are() -> None:
    with pytest.raises(InvalidInput, match="the evaluation data has 40 tokens, and 8 prompts need more"):
        prompts_of(windows(4, 10), 8)
