"""How models that answer with text write it: from the first token to the last, and from tokens to text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.model_config import generation_config, model_config
from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.table import Column
from compression_runner.dataset.texts import load_tokenizer

DECODER: Final = "decoder_input_ids"
"""The input of a graph by which a decoder is told what it has written so far."""
USUAL_LENGTH: Final = 128
MOST: Final = 448
"""Tokens of an answer where the model's generation_config.json names no length, and at most."""


@dataclass(frozen=True)
class Writing:
    """How a model writes.

    `prompt` are the tokens that its decoder starts with; a model without a decoder (CTC) has none, and says a token for
    each frame. It ends at one of `ends`, or after `longest` tokens. `model_dir` has the tokenizer.
    """

    model_dir: Path
    prompt: tuple[int, ...] = ()
    ends: frozenset[int] = frozenset()
    longest: int = USUAL_LENGTH

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer. Raises InvalidInput where none loads without code of its own."""
        return load_tokenizer(self.model_dir)

    def texts(self, rows: NDArray[np.float32]) -> list[str]:
        """Return the text of each row of token numbers; negative ones stand for no token."""
        found = []
        for row in rows:
            ids = [int(token) for token in row[row >= 0]]
            # A CTC tokenizer joins repetitions and drops blanks, as others drop special tokens.
            found.append(str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip() if ids else "")
        return found

    def tokens(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return what a decoder is given to learn each text: the prompt, and the text but for its end."""
        encoded = self.tokenizer(text_target=list(texts), truncation=True, max_length=self.longest)["input_ids"]
        found = []
        for ids in encoded:
            written = [token for token in ids if token not in self.ends and token not in self.prompt]
            found.append(np.asarray([*self.prompt, *written], dtype=np.int64))
        return found


def writing_of(model_dir: Path) -> Writing:
    """Return how the model of a folder writes.

    Raises InvalidInput for a folder without config.json, which ONNX models need too.
    """
    config = _given(model_config(model_dir) or {})
    if not config:
        remedy = "put config.json, generation_config.json and the tokenizer's files beside the model"
        raise bad_data("spec.model.source", model_dir.name, "nothing says how the model writes", remedy)
    if not config.get("is_encoder_decoder"):
        return Writing(model_dir)
    told = {**config, **_given(generation_config(model_dir))}
    ends = told.get("eos_token_id")
    start = told.get("decoder_start_token_id", told.get("bos_token_id"))
    if not isinstance(start, int):
        problem = "it names no decoder_start_token_id"
        raise bad_data("spec.model.source", "config.json", problem, "name the token that the decoder starts with")
    prompt = _prompt(model_dir, config, told, start)
    return Writing(
        model_dir,
        prompt,
        frozenset([ends] if isinstance(ends, int) else ends or ()),
        max(1, min(_most_after(prompt, told), MOST)),
    )


def reference_texts(column: Column, name: str) -> list[str]:
    """Return the texts that a model should write. Raises InvalidInput for a row that is not text."""
    for row, text in enumerate(column):
        if not isinstance(text, str):
            problem = f"row {row} of column {name} is not text"
            raise bad_data(f"{COLUMNS}.target", repr(text), problem, "give text in every row, or name its column")
    return [str(text) for text in column]


def _prompt(model_dir: Path, config: dict[str, Any], told: dict[str, Any], start: int) -> tuple[int, ...]:
    if config.get("model_type") == "whisper":
        # Language, task and no timestamps, as the tokenizer that was saved with the model has them.
        prefix = getattr(load_tokenizer(model_dir), "prefix_tokens", None)
        if prefix:
            return tuple(int(token) for token in prefix)
    first = told.get("forced_bos_token_id")
    return (start, int(first)) if isinstance(first, int) else (start,)


def _most_after(prompt: tuple[int, ...], settings: dict[str, Any]) -> int:
    """Return how many tokens may follow the prompt: `max_length` counts it, `max_new_tokens` what is forced in it."""
    if settings.get("max_new_tokens"):
        return int(settings["max_new_tokens"]) - isinstance(settings.get("forced_bos_token_id"), int)
    return int(settings["max_length"]) - len(prompt) if settings.get("max_length") else USUAL_LENGTH


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
