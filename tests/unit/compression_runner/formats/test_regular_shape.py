"""config.json shows whether a model consists of equal layers, in agreement with the library's configuration."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from benchmarks.families.catalog import Family, families
from compression_runner.errors import BadRecipe
from compression_runner.formats.source.regular_shape import NAMES, require_regular

KINDS = {family.config: family for family in families()}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_saved_configuration_agrees_with_the_library(kind: str, tmp_path: Path) -> None:
    config: Any = getattr(transformers, kind)(**sizes_of(KINDS[kind]))
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    # GPT-2 computes the width of its feed-forward blocks if its configuration has none.
    missing = [name for name in NAMES if not isinstance(getattr(config, name, None), int)]
    if getattr(config, "is_encoder_decoder", False):
        missing.append("one stack")
    if not missing or (missing == ["intermediate_size"] and hasattr(config, "n_inner")):
        require_regular(saved, "field")
        return
    with pytest.raises(BadRecipe, match=r"its configuration has no |two stacks"):
        require_regular(saved, "field")


def sizes_of(family: Family) -> dict[str, Any]:
    return dict(family.sizes)


def test_missing_keys_with_defaults_are_accepted() -> None:
    require_regular({"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12}, "field")
