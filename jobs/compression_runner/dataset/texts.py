"""Convert texts to token ids with the tokenizer of the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner import garbage_collection
from compression_runner.dataset.pad_tokens import pad_token
from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.sentence_settings import SentenceSettings, files_of, sentence_settings
from compression_runner.dataset.table import Column
from compression_runner.dataset.text_lengths import require_positions
from compression_runner.errors import cause

Tokens = dict[str, NDArray[np.int64]]
"""Input name -> values of one text, shape (tokens,)."""


@dataclass(frozen=True)
class Texts:
    """Texts and the settings to tokenize them; with `embedded`, by the settings of sentence-transformers."""

    rows: Sequence[str]
    model_dir: Path
    sequence_length: int
    embedded: bool = False

    def only(self, rows: Sequence[int]) -> "Texts":
        """Return these texts only, in this order."""
        return replace(self, rows=[self.rows[row] for row in rows])

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the inputs of other texts, as `tokenize` does."""
        return tokenize(texts, self.model_dir, self.sequence_length, embedded=self.embedded)[0]


def tokenize(
    texts: Column,
    model_dir: Path,
    sequence_length: int,
    pairs: Column | None = None,
    *,
    embedded: bool = False,
) -> tuple[list[Tokens], dict[str, int]]:
    """Return the inputs of each text, cut at `sequence_length` tokens, and the padding value of each input.

    With `pairs`, a sample is a text and its second text (a query and a passage); the longer one is cut first.
    `embedded` adds the prompt of sentence-transformers in front of each text. Raises InvalidInput for a row that is not
    text, for a length beyond the positions of the model, and for a model without a pad token or without a tokenizer
    that loads without remote code.
    """
    require_texts(texts)
    if pairs is not None:
        require_texts(pairs, f"{COLUMNS}.textPair")
    require_positions(model_dir, sequence_length)
    tokenizer = load_tokenizer(model_dir)
    settings = sentence_settings(files_of(model_dir)) if embedded else SentenceSettings()
    encoded = tokenizer(
        [settings.text(text) for text in texts],
        None if pairs is None else list(pairs),
        truncation=True,
        max_length=sequence_length,
        padding=False,
    )
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in encoded]
    samples = [{name: np.asarray(encoded[name][row], dtype=np.int64) for name in names} for row in range(len(texts))]
    padding = {"input_ids": pad_token(model_dir, tokenizer), "attention_mask": 0, "token_type_ids": 0}
    if samples and "token_type_ids" not in names:
        # A model may take segment ids although its tokenizer returns none: a single text is all segment 0.
        for sample in samples:
            sample["token_type_ids"] = np.zeros_like(sample["input_ids"])
    return samples, padding


def require_texts(texts: Column, field: str = f"{COLUMNS}.text") -> None:
    """Raise InvalidInput for a row that is not text."""
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            remedy = "give text in every row, or name the column that has it"
            raise bad_data(field, repr(text), f"row {row} is not text", remedy)


def load_tokenizer(model_dir: Path) -> Any:
    """Return the tokenizer beside a model. Raises InvalidInput if none loads without remote code."""
    with garbage_collection.importing():
        from transformers import AutoTokenizer  # takes seconds to import; only texts need it

    try:
        return AutoTokenizer.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers, in Rust, raises no narrower type for files that it cannot read
        remedy = (
            "put the tokenizer's files (tokenizer.json, tokenizer_config.json) beside the model; save damaged ones anew"
        )
        raise bad_data(
            "spec.model.source", model_dir.name, f"its tokenizer cannot be loaded: {cause(error)}", remedy
        ) from error
