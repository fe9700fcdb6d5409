"""The token that fills up texts of a batch, as the model's own files name it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset.problems import bad_data

FIELD: Final = "spec.model.source"
ANSWERS_AT_THE_LAST_PLACE: Final = ("xlnet",)
"""Types of models whose classifiers take the last place of a batch for the end of every text."""
REMEDY: Final = (
    "name one: model.config.pad_token_id = tokenizer.eos_token_id (tokenizer.pad_token = tokenizer.eos_token), "
    "then save both with save_pretrained"
)


def pad_token(model_dir: Path, tokenizer: Any) -> int:
    """Return the number of the token that fills texts up.

    config.json's comes first: classifiers without a token of their own for it (GPT-2) look for the last other token.
    Raises InvalidInput where no file names one: transformers itself makes no batch then.
    """
    for name in ("config.json", None, "generation_config.json"):
        found = tokenizer.pad_token_id if name is None else _settings(model_dir / name).get("pad_token_id")
        if isinstance(found, int) and 0 <= found < len(tokenizer):
            return found
    problem = "neither the tokenizer nor config.json names a pad token, so texts of different length make no batch"
    raise bad_data(FIELD, model_dir.name, problem, REMEDY)


def fills_in_front(model_dir: Path) -> bool:
    """Return whether texts of a batch are filled up in front: the others that answer at a text's end look for it."""
    return _settings(model_dir / "config.json").get("model_type") in ANSWERS_AT_THE_LAST_PLACE


def _settings(path: Path) -> Mapping[str, Any]:
    content = json.loads(path.read_text()) if path.is_file() else {}
    return content if isinstance(content, dict) else {}
