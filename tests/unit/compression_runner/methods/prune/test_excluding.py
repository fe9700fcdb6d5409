"""Excluded weights do not change, in all methods and formats."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from safetensors.torch import load_file

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compressionjob.methods.prune import Prune
from tests.support import tiny_models
from tests.support.graphs import graph, language_model, random
from tests.support.stage_data import array_samples, calibration
from tests.support.stages import prune, sealed_graph, weights_of

STEM = "resnet.embedder.embedder.convolution.weight"


def sparsities(artifact: Artifact) -> dict[str, float]:
    """Return tensor -> fraction of zeros, for the matrices of a checkpoint."""
    (shard,) = (file.path for file in artifact.files if file.weights)
    tensors = load_file(artifact.path / shard)
    return {name: float((tensor == 0).float().mean()) for name, tensor in tensors.items() if tensor.dim() > 1}


@pytest.mark.parametrize("scope", ["global", "layer", "lamp"])
def test_a_checkpoint_keeps_excluded_weights_and_prunes_others(tmp_path: Path, scope: str) -> None:
    source = seal(tiny_models.resnet(tmp_path / "resnet"), "transformers", "image-classification")
    outcome = prune(source, tmp_path / "out", scope=scope, exclude=["*embedder*", "classifier.1.weight"])
    after = sparsities(outcome.artifact)
    assert after[STEM] == after["classifier.1.weight"] == 0
    assert outcome.details["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert outcome.details["tensors"] == len(after) - 2


def test_excluding_a_layer_that_does_not_fit_allows_2_4(tmp_path: Path) -> None:
    source = seal(tiny_models.resnet(tmp_path / "resnet"), "transformers", "image-classification")
    with pytest.raises(BadRecipe, match="has 49 inputs") as caught:
        prune(source, tmp_path / "refused", pattern="2:4")
    assert caught.value.remedy.startswith(f'exclude: ["*{STEM}"]')
    outcome = prune(source, tmp_path / "out", pattern="2:4", exclude=[f"*{STEM}"])
    after = sparsities(outcome.artifact)
    assert after.pop(STEM) == 0
    assert set(after.values()) == {0.5}
    assert outcome.details["left"] == [STEM.removesuffix(".weight")]
    assert outcome.details["leftBytes"] > 0


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_a_graph_keeps_excluded_weights(tmp_path: Path, method: str, pattern: str) -> None:
    source = sealed_graph(language_model(), tmp_path / "source")
    before = weights_of(source)
    outcome = prune(source, tmp_path / "out", method=method, pattern=pattern, exclude=["gate"])
    after = weights_of(outcome.artifact)
    np.testing.assert_array_equal(after["gate"], before["gate"])
    assert outcome.details["sparsity"] == pytest.approx(0.5, abs=0.05)


def test_a_weight_renamed_by_the_exporter_is_excluded_by_its_readable_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "val_7"], ["hidden"]),
        helper.make_node("Add", ["hidden", "dense.bias"], ["biased"]),
        helper.make_node("MatMul", ["biased", "head.weight"], ["y"]),
    ]
    weights = {"val_7": random(10, 8), "dense.bias": random(8), "head.weight": random(8, 4)}
    model = graph(nodes, {"x": ["batch", 10]}, ["y"], weights)
    outcome = prune(
        sealed_graph(model, tmp_path / "source"),
        tmp_path / "out",
        calibration(array_samples(x=random(20, 10))),
        method="wanda",
        pattern="2:4",
        exclude=["dense.weight"],
    )
    after = weights_of(outcome.artifact)
    np.testing.assert_array_equal(after["val_7"], weights["val_7"])
    assert (after["head.weight"] == 0).mean() == 0.5
    assert outcome.details["left"] == ["dense.weight"]


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("transformers", {}),
        ("transformers", {"pattern": "2:4"}),
        ("onnx", {}),
        ("onnx", {"pattern": "2:4"}),
        ("onnx", {"method": "wanda"}),
    ],
)
def test_an_exclude_without_a_match_is_refused_with_the_known_names(
    tmp_path: Path, kind: str, parameters: dict[str, str]
) -> None:
    if kind == "transformers":
        source = seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding")
    else:
        source = sealed_graph(language_model(), tmp_path / "source")
    with pytest.raises(BadRecipe, match=r"it matches no weight to prune; the names are \S+") as caught:
        prune(source, tmp_path / "out", **parameters, exclude=["*no-such-layer*"])
    assert (caught.value.field, caught.value.value) == ("spec.pipeline[0].prune.exclude", "*no-such-layer*")


def test_structures_cannot_be_excluded() -> None:
    wanted = {"method": "structured", "structure": "heads", "sparsity": "0.5", "exclude": ["*"]}
    with pytest.raises(ValueError, match="exclude belongs to methods magnitude, wanda and sparsegpt"):
        Prune.model_validate(wanted)
