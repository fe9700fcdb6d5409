"""The pad token of a model, from its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard

from compression_runner.dataset.model_config import generation_config, model_config
from compression_runner.dataset.problems import bad_data

FIELD: Final = "spec.model.source"
LEFT_PADDED: Final = ("xlnet",)
"""Types of models whose classifiers read the last position of a batch as the end of every text."""
REMEDY: Final = (
    "name one: model.config.pad_token_id = tokenizer.eos_token_id (tokenizer.pad_token = tokenizer.eos_token), "
    "then save both with save_pretrained"
)


def pad_token(model_dir: Path, tokenizer: Any) -> int:
    """Return the id of the pad token.

    config.json has priority: classifiers of models without a pad token (GPT-2) look for the last token unlike it.
    Raises InvalidInput if no file names one: transformers cannot build a batch then either.
    """
    config = model_config(model_dir) or {}
    others = generation_config(model_dir)
    for number in (config.get("pad_token_id"), tokenizer.pad_token_id, others.get("pad_token_id")):
        if is_token(number, config):
            return number
    problem = "neither the tokenizer nor config.json names a pad token to fill up shorter texts of a batch"
    raise bad_data(FIELD, model_dir.name, problem, REMEDY)


def is_token(number: object, config: Mapping[str, Any]) -> TypeGuard[int]:
    """Return whether a setting is a token id of the model's vocabulary."""
    return isinstance(number, int) and 0 <= number < int(config.get("vocab_size") or number + 1)


def pads_left(model_dir: Path) -> bool:
    """Return whether batches of texts are padded on the left. Other models locate the end of each text themselves."""
    return (model_config(model_dir) or {}).get("model_type") in LEFT_PADDED
