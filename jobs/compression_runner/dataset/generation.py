"""Text generation settings of a model: prompt, end and maximum length of a text, and its tokenizer."""

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
"""The input of a graph for the tokens that the decoder has generated so far."""
DEFAULT_LENGTH: Final = 128
"""Maximum tokens of a text if the model's generation_config.json states no length."""
MAX_LENGTH: Final = 448
"""Upper limit of the maximum tokens of a text."""


@dataclass(frozen=True)
class TextGeneration:
    """The text generation settings of a model.

    `prompt` are the first tokens of its decoder. A model without a decoder (CTC) has none; it returns a token for each
    frame. A text ends at one of `ends`, or after `longest` tokens. `model_dir` has the tokenizer.
    """

    model_dir: Path
    prompt: tuple[int, ...] = ()
    ends: frozenset[int] = frozenset()
    longest: int = DEFAULT_LENGTH

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the model. Raises InvalidInput if none loads without remote code."""
        return load_tokenizer(self.model_dir)

    def texts(self, rows: NDArray[np.float32]) -> list[str]:
        """Return the text of each row of token ids; negative ids stand for no token."""
        texts = []
        for row in rows:
            ids = [int(token) for token in row[row >= 0]]
            # A CTC tokenizer joins repetitions and drops blanks; others drop special tokens.
            texts.append(str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip() if ids else "")
        return texts

    def tokens(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the decoder inputs to train on each text: the prompt, and the text without its end token."""
        encoded = self.tokenizer(text_target=list(texts), truncation=True, max_length=self.longest)["input_ids"]
        rows = []
        for ids in encoded:
            written = [token for token in ids if token not in self.ends and token not in self.prompt]
            rows.append(np.asarray([*self.prompt, *written], dtype=np.int64))
        return rows


def text_generation(model_dir: Path) -> TextGeneration:
    """Return the text generation settings of the model in a folder.

    Raises InvalidInput for a folder without config.json, which ONNX models need too.
    """
    config = _without_nulls(model_config(model_dir) or {})
    if not config:
        remedy = "put config.json, generation_config.json and the tokenizer's files beside the model"
        raise bad_data("spec.model.source", model_dir.name, "its generation settings are missing", remedy)
    if not config.get("is_encoder_decoder"):
        return TextGeneration(model_dir)
    settings = {**config, **_without_nulls(generation_config(model_dir))}
    ends = settings.get("eos_token_id")
    start = settings.get("decoder_start_token_id", settings.get("bos_token_id"))
    if not isinstance(start, int):
        problem = "it names no decoder_start_token_id"
        raise bad_data("spec.model.source", "config.json", problem, "name the token that the decoder starts with")
    prompt = _prompt(model_dir, config, settings, start)
    return TextGeneration(
        model_dir,
        prompt,
        frozenset([ends] if isinstance(ends, int) else ends or ()),
        max(1, min(_max_new_tokens(prompt, settings), MAX_LENGTH)),
    )


def reference_texts(column: Column, name: str) -> list[str]:
    """Return the texts that a model should write. Raises InvalidInput for a row that is not text."""
    for row, text in enumerate(column):
        if not isinstance(text, str):
            problem = f"row {row} of column {name} is not text"
            raise bad_data(f"{COLUMNS}.target", repr(text), problem, "give text in every row, or name its column")
    return [str(text) for text in column]


def _prompt(model_dir: Path, config: dict[str, Any], settings: dict[str, Any], start: int) -> tuple[int, ...]:
    if config.get("model_type") == "whisper":
        # Language, task and no timestamps, from the tokenizer saved with the model.
        prefix = getattr(load_tokenizer(model_dir), "prefix_tokens", None)
        if prefix:
            return tuple(int(token) for token in prefix)
    first = settings.get("forced_bos_token_id")
    return (start, int(first)) if isinstance(first, int) else (start,)


def _max_new_tokens(prompt: tuple[int, ...], settings: dict[str, Any]) -> int:
    """Return how many tokens may follow the prompt: `max_length` includes it, `max_new_tokens` its forced token."""
    if settings.get("max_new_tokens"):
        return int(settings["max_new_tokens"]) - isinstance(settings.get("forced_bos_token_id"), int)
    return int(settings["max_length"]) - len(prompt) if settings.get("max_length") else DEFAULT_LENGTH


def _without_nulls(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
