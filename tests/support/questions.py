"""Questions for tiny language models, whose right answers are those of a model with random weights."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

WORDS = ("cat", "dog", "mat", "sun", "moon", "tree", "fish", "bird", "rain", "snow")
SHOWN = "Q: {question}?"


@cache
def loaded(model_dir: Path) -> tuple[Any, Any]:
    """Return the tokenizer and the model of a folder."""
    return AutoTokenizer.from_pretrained(model_dir), AutoModelForCausalLM.from_pretrained(model_dir)


def likelihood(model_dir: Path, context: str, continuation: str) -> tuple[float, bool]:
    """Return the log-likelihood of a continuation by Transformers, and whether each token is the most probable one."""
    tokenizer, model = loaded(model_dir)
    start, whole = (tokenizer.encode(text) for text in (context, context + continuation))
    with torch.no_grad():
        logits = model(torch.tensor([whole])).logits[0].double()
    chances = torch.log_softmax(logits, dim=-1)[len(start) - 1 : -1]
    targets = torch.tensor(whole[len(start) :])
    likely = chances.gather(1, targets[:, None]).sum()
    return float(likely), bool((chances.argmax(dim=-1) == targets).all())


def choices_of(row: int, count: int = 4) -> list[str]:
    """Return distinct words for a question."""
    return [str(word) for word in np.random.default_rng(row).permutation(WORDS)[:count]]


def choice_rows(model_dir: Path, count: int, wrong: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Return questions whose answer is the model's most probable choice, except in the rows `wrong`."""
    rows = []
    for row in range(count):
        question, choices = f"{row} {WORDS[row % len(WORDS)]}", choices_of(row)
        context = SHOWN.format(question=question)
        best = max(range(4), key=lambda place: likelihood(model_dir, context, f" {choices[place]}")[0])
        rows.append({"question": question, "choices": choices, "answer": (best + (row in wrong)) % 4})
    return rows


def continuation_rows(model_dir: Path, count: int, tokens: int) -> list[dict[str, Any]]:
    """Return questions whose answer is what the model writes in so many tokens, greedily."""
    tokenizer, model = loaded(model_dir)
    rows = []
    for row in range(count):
        question = f"{row} {WORDS[row % len(WORDS)]}"
        ids = torch.tensor([tokenizer.encode(SHOWN.format(question=question))])
        with torch.no_grad():
            written = model.generate(ids, max_new_tokens=tokens, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        rows.append({"question": question, "answer": str(tokenizer.decode(written, skip_special_tokens=True)).strip()})
    return rows


def write_rows(place: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a JSON lines file."""
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place
