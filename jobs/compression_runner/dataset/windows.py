"""Cut running text into windows of tokens, for the perplexity of a causal language model.

The texts of the rows are joined by line breaks and cut every `length` tokens, across sentences and rows, as in
perplexities on WikiText (G. Frantar et al., GPTQ, arXiv:2210.17323). If the tokenizer puts a token in front of every
text, each window begins with it.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.table import Column
from compression_runner.dataset.text_lengths import require_positions
from compression_runner.dataset.texts import Tokens, load_tokenizer, require_texts

ROWS_AT_ONCE: Final = 1000
SEPARATOR: Final = "\n"
_ZERO: Final = {"attention_mask": 0, "position_ids": 0}


def windows(texts: Column, model_dir: Path, length: int, limit: int) -> tuple[list[Tokens], dict[str, int]]:
    """Return up to `limit` windows of `length` tokens each, and the padding value of each input.

    An incomplete window at the end is dropped, unless it is the only one. Raises InvalidInput for a row that is not
    text, a text of fewer than two tokens, a length beyond the positions of the model, and a model without a tokenizer
    that loads without remote code.
    """
    require_texts(texts)
    require_positions(model_dir, length)
    tokenizer = load_tokenizer(model_dir)
    front = _front(tokenizer)
    body = length - len(front)
    if body < 1 or length < 2:
        problem = "a window needs at least two tokens: the model predicts the second from the first"
        remedy = "set it to 1024, or to the maximum of the model"
        raise bad_data("spec.benchmark.sequenceLength", length, problem, remedy)
    cut = list(islice(_cut(_tokens(texts, tokenizer), body), limit))
    whole = [part for part in cut if len(part) == body] or cut[:1]
    if not whole or len(front) + len(whole[0]) < 2:
        raise bad_data(SOURCE, f"{len(texts)} rows", "the text has fewer than two tokens", "give more text")
    padding = {"input_ids": int(tokenizer.pad_token_id or 0), **_ZERO}
    return [_window(np.concatenate([front, part])) for part in whole], padding


def _window(ids: NDArray[np.int64]) -> Tokens:
    positions = np.arange(len(ids), dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": positions}


def _tokens(texts: Column, tokenizer: Any) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(texts), ROWS_AT_ONCE):
        text = "".join(f"{row}{SEPARATOR}" for row in texts[start : start + ROWS_AT_ONCE])
        yield np.asarray(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=np.int64)


def _cut(parts: Iterator[NDArray[np.int64]], length: int) -> Iterator[NDArray[np.int64]]:
    """Yield pieces of `length`, and at the end the rest."""
    rest = np.zeros(0, dtype=np.int64)
    for part in parts:
        rest = np.concatenate([rest, part])
        while len(rest) >= length:
            yield rest[:length]
            rest = rest[length:]
    if len(rest):
        yield rest


def _front(tokenizer: Any) -> NDArray[np.int64]:
    """Return the token that begins every text, shape (1,); empty without one."""
    ids = tokenizer("")["input_ids"][:1]
    begins = len(ids) == 1 and ids[0] == tokenizer.bos_token_id
    return np.asarray(ids if begins else [], dtype=np.int64)
