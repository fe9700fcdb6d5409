"""How long the texts of a model may get: what transformers' own `generate` would write."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.dataset.writing import USUAL_LENGTH, writing_of


@pytest.mark.parametrize(
    ("generation", "prompt", "longest"),
    [
        ({"max_length": 20}, (2,), 19),  # with the token that the decoder starts with
        ({"max_length": 20, "forced_bos_token_id": 0}, (2, 0), 18),
        ({"max_new_tokens": 20}, (2,), 20),
        ({"max_new_tokens": 20, "max_length": 7}, (2,), 20),
        ({"max_new_tokens": 20, "forced_bos_token_id": 0}, (2, 0), 19),  # what is forced is new
        ({"max_length": 1}, (2,), 1),
        ({}, (2,), USUAL_LENGTH),
    ],
)
def test_as_many_tokens_follow_the_prompt_as_transformers_would_write(
    tmp_path: Path, generation: dict[str, Any], prompt: tuple[int, ...], longest: int
) -> None:
    config = {"is_encoder_decoder": True, "decoder_start_token_id": 2, "eos_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    found = writing_of(tmp_path)
    assert (found.prompt, found.longest) == (prompt, longest)
