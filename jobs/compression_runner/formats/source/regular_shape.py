"""Whether a model is made of equal layers, seen from its config.json: one number each of layers, heads and widths.

A key that config.json lacks may have a default in its library, so that it alone shows nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from compression_runner.errors import BadRecipe

NAMES: Final = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
"""The four numbers, as transformers calls them for every model that has them."""
INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "num_hidden_layers": ("depths", "num_spatial_layers"),
    "hidden_size": ("hidden_sizes",),
    "num_attention_heads": ("state_size",),
    "intermediate_size": (
        "d_ff", "ffn_dim", "encoder_ffn_dim", "hidden_dim", "d_inner", "mlp_ratio", "mlp_ratios", "expand_ratio",
    ),
}  # fmt: skip
"""Keys of configurations that have no such number: they have one for each stage, or count otherwise."""
WITHOUT: Final[Mapping[str, str]] = {"bloom": "intermediate_size"}
"""Types of models whose library computes a number by itself, which no key shows."""
LISTED: Final[Mapping[str, str]] = {"num_attention_heads": "num_heads"}
"""Keys that hold one number for each stage in some models."""


def require_regular(config: Mapping[str, Any], field: str) -> None:
    """Raise BadRecipe where a config.json shows that one of the four numbers is missing, or counts two stacks."""
    if config.get("is_encoder_decoder"):
        raise two_stacks(config.get("model_type"), field)
    missing = [name for name in NAMES if _lacks(config, name)]
    if missing:
        raise has_no(missing[0], config.get("model_type"), field)


def two_stacks(kind: object, field: str) -> BadRecipe:
    """Return what refuses a model of an encoder and a decoder."""
    problem, remedy = "its layers are two stacks, an encoder and a decoder", "use prune with structure heads or neurons"
    return BadRecipe("UnsupportedModel", field, kind, problem, remedy)


def has_no(name: str, kind: object, field: str) -> BadRecipe:
    """Return what refuses a model without one of the four numbers."""
    problem, remedy = f"its configuration has no {name}", "use prune with method structured to make it smaller"
    return BadRecipe("UnsupportedModel", field, kind, problem, remedy)


def _lacks(config: Mapping[str, Any], name: str) -> bool:
    if name in config:
        return not isinstance(config[name], int)
    if WITHOUT.get(str(config.get("model_type"))) == name or isinstance(config.get(LISTED.get(name, "")), list):
        return True
    return any(key in config for key in INSTEAD[name])
