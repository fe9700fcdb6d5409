"""The maximum length of generated texts equals that of `generate` in transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.dataset.generation import DEFAULT_LENGTH, text_generation


@pytest.mark.parametrize(
    ("generation", "prompt", "longest"),
    [
        ({"max_length": 20}, (2,), 19),  # with the token that the decoder starts with
        ({"max_length": 20, "forced_bos_token_id": 0}, (2, 0), 18),
        ({"max_new_tokens": 20}, (2,), 20),
        ({"max_new_tokens": 20, "max_length": 7}, (2,), 20),
        ({"max_new_tokens": 20, "forced_bos_token_id": 0}, (2, 0), 19),  # the forced token counts as new
        ({"max_length": 1}, (2,), 1),
        ({}, (2,), DEFAULT_LENGTH),
    ],
)
def test_the_maximum_length_equals_that_of_transformers(
    tmp_path: Path, generation: dict[str, Any], prompt: tuple[int, ...], longest: int
) -> None:
    config = {"is_encoder_decoder": True, "decoder_start_token_id": 2, "eos_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    settings = text_generation(tmp_path)
    assert (settings.prompt, settings.longest) == (prompt, longest)
