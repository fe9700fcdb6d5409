"""The maximum sequence length of a text model, from its configuration alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from compression_runner.dataset.model_config import model_config
from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT

FIELD: Final = "spec.benchmark.sequenceLength"
CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer_config.json"
SENTENCE_SETTINGS: Final = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
"""Files with the text settings of sentence-transformers; the first that exists counts."""
COUNTED_FROM_PADDING: Final = frozenset(
    {
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "lilt",
        "longformer",
        "luke",
        "markuplm",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
"""Types of models whose first token has the position pad_token_id + 1; they never use lower positions."""
DEFAULT_PADDING: Final = 1
"""The pad_token_id of those models if the configuration names none."""
RELATIVE: Final = frozenset({"bloom", "funnel", "longt5", "mt5", "switch_transformers", "t5", "umt5", "xlnet"})
"""Types of models with relative positions, which have no limit although old configurations state one."""
POSITIONS: Final = ("max_position_embeddings", "max_encoder_position_embeddings", "n_positions", "max_seq_len")
"""Names of the setting for the size of the position table. BART, OPT and similar models add two rows to it."""
NO_LENGTH: Final = 10**6
"""Tokenizers without a limit have a model_max_length larger than this."""


class LengthLimit(NamedTuple):
    """The maximum number of tokens of a text, and the setting that states it."""

    tokens: int
    setting: str


def position_limit(config: Mapping[str, Any]) -> LengthLimit | None:
    """Return the number of positions of a model; None if it has no limit, or the limit is unknown."""
    kind = str(config.get("model_type", ""))
    name = next((name for name in POSITIONS if isinstance(config.get(name), int) and config[name] > 0), None)
    if kind in RELATIVE or name is None:
        return None
    size = int(config[name])
    rotary = kind == "esm" and config.get("position_embedding_type", "absolute") != "absolute"
    if kind not in COUNTED_FROM_PADDING or rotary:
        return LengthLimit(size, f"{CONFIG}: {name}")
    padding = config.get("pad_token_id")
    first = (padding if isinstance(padding, int) and padding >= 0 else DEFAULT_PADDING) + 1
    return LengthLimit(size - first, f"{CONFIG}: {name} {size}, of which the first {first} are never used")


def declared_limit(settings: Mapping[str, Any], name: str, file: str) -> LengthLimit | None:
    """Return the maximum length in settings of a tokenizer or of sentence-transformers; None without one."""
    value = settings.get(name)
    if isinstance(value, int) and 0 < value < NO_LENGTH:
        return LengthLimit(value, f"{file}: {name}")
    return None


def shortest(*limits: LengthLimit | None) -> LengthLimit | None:
    """Return the smallest limit; None without limits."""
    return min((limit for limit in limits if limit is not None), key=lambda limit: limit.tokens, default=None)


def require_length(limit: LengthLimit | None, sequence_length: int) -> None:
    """Raise InvalidInput for a length beyond the limit of a model, which would fail after hours of work."""
    if limit is not None and limit.tokens < sequence_length:
        problem = f"the model ({limit.setting}) takes at most {limit.tokens} tokens"
        remedy = f"set it to {limit.tokens} or less"
        raise InvalidInput(INVALID_INPUT, FIELD, sequence_length, problem, remedy)


def require_positions(model_dir: Path, sequence_length: int) -> None:
    """Raise InvalidInput for a length beyond the last position of the model in a folder."""
    require_length(position_limit(model_config(model_dir) or {}), sequence_length)
