"""Preflight refuses a 2:4 pattern that does not fit a checkpoint."""

from pathlib import Path
from typing import Any

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import inspect
from compression_runner.pipeline.preflight import check_stages
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.plans import open_store

TWO_OF_FOUR: dict[str, Any] = {"prune": {"sparsity": "0.5", "pattern": "2:4"}}
HEADS: dict[str, Any] = {"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}}


def check(place: Path, *stages: dict[str, Any]) -> None:
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{place}", "task": "text-embedding"},
            "data": {"evaluation": {"source": "file:///data.parquet"}},
            "pipeline": list(stages),
            "output": {"destination": "file:///out"},
        }
    )
    check_stages(spec, inspect(open_store(place), spec.model))


def test_a_layer_of_thirty_inputs_is_refused_by_name(tmp_path: Path) -> None:
    model = tiny_models.bert(tmp_path / "bert", hidden=30)
    with pytest.raises(BadRecipe, match=r"weight has 30 inputs, which is not a multiple of 4") as caught:
        check(model, {"prune": {"sparsity": "0.2"}}, TWO_OF_FOUR)
    assert caught.value.field == "spec.pipeline[1].prune.pattern"
    check(model, {"prune": {"sparsity": "0.5"}})


def test_excluded_layers_need_not_fit(tmp_path: Path) -> None:
    model = tiny_models.bert(tmp_path / "bert", hidden=30)
    excluded = {"prune": TWO_OF_FOUR["prune"] | {"exclude": ["encoder.*", "pooler.*"]}}
    check(model, excluded)
    with pytest.raises(BadRecipe, match="pooler"):
        check(model, {"prune": TWO_OF_FOUR["prune"] | {"exclude": ["encoder.*"]}})


def test_fitting_or_changed_layers_are_accepted(tmp_path: Path) -> None:
    check(tiny_models.bert(tmp_path / "fits", hidden=32), TWO_OF_FOUR)
    check(tiny_models.bert(tmp_path / "changes", hidden=30), HEADS, TWO_OF_FOUR)
