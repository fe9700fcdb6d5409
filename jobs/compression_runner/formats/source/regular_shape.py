"""Check by config.json that a model consists of equal layers: one number each for layers, heads and widths.

A key missing in config.json may have a default in the library, so a missing key alone is no error.
"""

from collections.abc import Mapping
from typing import Any, Final

from compression_runner.errors import BadRecipe

NAMES: Final = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
"""The names of the four numbers in transformers."""
INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "num_hidden_layers": ("depths", "num_spatial_layers"),
    "hidden_size": ("hidden_sizes",),
    "num_attention_heads": ("state_size",),
    "intermediate_size": (
        "d_ff", "ffn_dim", "encoder_ffn_dim", "hidden_dim", "d_inner", "mlp_ratio", "mlp_ratios", "expand_ratio",
    ),
}  # fmt: skip
"""Keys of configurations without this number: they have one for each stage, or another definition."""
WITHOUT: Final[Mapping[str, str]] = {"bloom": "intermediate_size"}
"""Types of models without a key for a number that their library computes."""
LISTED: Final[Mapping[str, str]] = {"num_attention_heads": "num_heads"}
"""Keys that hold one number for each stage in some models."""


def require_regular(config: Mapping[str, Any], field: str) -> None:
    """Raise BadRecipe if config.json lacks one of the four numbers, or has an encoder and a decoder."""
    if config.get("is_encoder_decoder"):
        raise encoder_decoder_error(config.get("model_type"), field)
    missing = [name for name in NAMES if _lacks(config, name)]
    if missing:
        raise missing_size_error(missing[0], config.get("model_type"), field)


def encoder_decoder_error(kind: object, field: str) -> BadRecipe:
    """Return the error for a model with an encoder and a decoder."""
    problem, remedy = "its layers are two stacks, an encoder and a decoder", "use prune with structure heads or neurons"
    return BadRecipe("UnsupportedModel", field, kind, problem, remedy)


def missing_size_error(name: str, kind: object, field: str) -> BadRecipe:
    """Return the error for a model without one of the four numbers."""
    problem, remedy = f"its configuration has no {name}", "use prune with method structured to make it smaller"
    return BadRecipe("UnsupportedModel", field, kind, problem, remedy)


def _lacks(config: Mapping[str, Any], name: str) -> bool:
    if name in config:
        return not isinstance(config[name], int)
    if WITHOUT.get(str(config.get("model_type"))) == name or isinstance(config.get(LISTED.get(name, "")), list):
        return True
    return any(key in config for key in INSTEAD[name])
