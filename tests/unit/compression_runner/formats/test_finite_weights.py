"""Weights with NaN or infinity are refused in a source, and in the result of a stage."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.finite_weights import require_finite_result
from compression_runner.formats.onnx_files import save
from compression_runner.formats.transformers_model import load_model
from compression_runner.stages.method import StageContext
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from tests.support import tiny_models
from tests.support.graphs import graph, random
from tests.support.stage_data import array_samples, calibration
from tests.support.stages import answers, apply_method, sealed_graph

WIDTH = 32
ROWS = 40
FIELD = "spec.pipeline[0]"
STAGES: list[tuple[str, Any, dict[str, Any]]] = [
    ("quantize", Quantize, {"method": "dynamic"}),
    ("quantize", Quantize, {"method": "static"}),
    ("quantize", Quantize, {"method": "static", "backend": "openvino"}),
    ("quantize", Quantize, {"method": "weight-only", "dtype": "int4", "algorithm": "gptq"}),
    ("quantize", Quantize, {"method": "cast", "dtype": "bfloat16"}),
    ("prune", Prune, {"method": "magnitude", "sparsity": "0.5"}),
    ("prune", Prune, {"method": "wanda", "sparsity": "0.5"}),
    ("factorize", Factorize, {"method": "svd", "energy": "0.9"}),
    ("factorize", Factorize, {"method": "nmf", "energy": "0.9"}),
]


def product(value: float) -> onnx.ModelProto:
    """Return a product with one number of its weight replaced by `value`."""
    weight = (random(WIDTH, 4, seed=1) @ random(4, WIDTH, seed=2)).astype(np.float32)
    weight[3, 5] = value
    return graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["batch", WIDTH]}, ["y"], {"w": weight})


def lookup(value: float) -> onnx.ModelProto:
    """Return the look-up of a table, whose last row is `value`, and a product."""
    table = random(ROWS, WIDTH, seed=1)
    table[-1] = value
    weights = {"table": table, "w": (random(WIDTH, 4, seed=1) @ random(4, WIDTH, seed=2)).astype(np.float32)}
    nodes = [helper.make_node("Gather", ["table", "x"], ["e"]), helper.make_node("MatMul", ["e", "w"], ["y"])]
    return graph(nodes, {"x": ["batch"]}, ["y"], weights, {"x": TensorProto.INT64})


def run(stage: tuple[str, Any, dict[str, Any]], model: onnx.ModelProto, x: NDArray[Any], place: Path) -> Artifact:
    """Run a stage, and check its result as the pipeline does."""
    name, kind, parameters = stage
    source = sealed_graph(model, place / "source")
    (place / "out").mkdir()
    context = StageContext(place / "out", FIELD, data=calibration(array_samples(x=x)))
    result = apply_method(name, source, kind.model_validate(parameters), context).artifact
    require_finite_result(source, result, FIELD)
    return result


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: "-".join(stage[2].values()))
@pytest.mark.parametrize(("build", "value", "name", "content"), [
    (product, np.nan, "w", "NaN"), (product, np.inf, "w", "infinity"), (product, -np.inf, "w", "infinity"),
    (lookup, np.nan, "table", "NaN"),
])  # fmt: skip
def test_every_method_refuses_a_source_with_broken_weights(
    build: Any, value: float, name: str, content: str, stage: Any, tmp_path: Path
) -> None:
    x = random(50, WIDTH, seed=5) if build is product else np.arange(ROWS - 1)
    with pytest.raises(InvalidInput, match=rf"spec\.model\.source: '{name}': the weight {name} has {content}; give"):
        run(stage, build(value), x, tmp_path)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # scales are computed before the result is read
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: "-".join(stage[2].values()))
def test_a_table_with_rows_of_minus_infinity_is_kept_or_refused(stage: Any, tmp_path: Path) -> None:
    x = np.arange(ROWS - 1)
    try:
        result = run(stage, lookup(-np.inf), x, tmp_path)
    except BadRecipe as refused:
        reason = refused.reason
    else:
        reason = ""
    assert reason in ("", "NotFinite", "NothingToQuantize")
    if not reason and result.format == "onnx":
        assert np.isfinite(answers(result, {"x": x})).all()


def test_svd_leaves_out_a_table_that_is_not_finite(tmp_path: Path) -> None:
    source = sealed_graph(lookup(-np.inf), tmp_path / "source")
    (tmp_path / "out").mkdir()
    parameters = Factorize.model_validate({"method": "svd", "energy": "0.9"})
    details = apply_method("factorize", source, parameters, StageContext(tmp_path / "out", FIELD)).details
    assert {layer["name"]: layer.get("kept") for layer in details["layers"]} == {"w": None, "table": "not finite"}
    assert details["left"] == ["table"]


def folder_with(value: float, tmp_path: Path) -> Path:
    folder = tiny_models.bert(tmp_path / "model", labels=3)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in sorted(tensors) if name.endswith("query.weight"))
    tensors[name][0, 0] = value
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize(("value", "content"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_a_checkpoint_with_broken_weights_is_refused(value: float, content: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"query\.weight has {content}; give a model whose weights are all finite"):
        load_model(folder_with(value, tmp_path), "text-classification")


def test_weights_that_a_stage_breaks_are_refused_with_the_stage(tmp_path: Path) -> None:
    sound = seal(tiny_models.bert(tmp_path / "sound", labels=3), "transformers", "text-classification")
    broken = seal(folder_with(np.nan, tmp_path), "transformers", "text-classification")
    with pytest.raises(
        BadRecipe, match=r"spec\.pipeline\[0\]: '.*query\.weight': the result .* has NaN in .*; exclude"
    ):
        require_finite_result(sound, broken, FIELD)
    require_finite_result(broken, broken, FIELD)


def test_a_mask_in_bfloat16_may_be_infinite(tmp_path: Path) -> None:
    """The smallest float32 has no other value in bfloat16."""
    nodes = [helper.make_node("Add", ["x", "mask"], ["masked"]), helper.make_node("MatMul", ["masked", "w"], ["y"])]
    weights = {"mask": np.full((1, WIDTH), np.finfo(np.float32).min), "w": random(WIDTH, 4)}
    model = graph(nodes, {"x": ["batch", WIDTH]}, ["y"], weights)
    result = run(("quantize", Quantize, {"method": "cast", "dtype": "bfloat16"}), model, random(4, WIDTH), tmp_path)
    masks = [tensor for tensor in onnx.load(result.model_file).graph.initializer if tensor.name.startswith("mask")]
    assert [np.isneginf(numpy_helper.to_array(mask).astype(np.float32)).all() for mask in masks] == [True]


def test_external_weights_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression_runner.formats.onnx_files.SINGLE_FILE_LIMIT", 100)
    artifacts = []
    for name, value in (("sound", 1.0), ("broken", np.nan)):
        (tmp_path / name).mkdir()
        save(product(value), tmp_path / name)
        assert (tmp_path / name / "model.onnx.data").is_file()
        artifacts.append(seal(tmp_path / name, "onnx", "onnx"))
    with pytest.raises(BadRecipe, match=r"has NaN in w"):
        require_finite_result(artifacts[0], artifacts[1], FIELD)


def test_an_infinite_constant_that_a_stage_reshapes_is_kept(tmp_path: Path) -> None:
    """As onnxruntime folds the anchors of a detector, of which some are infinite."""
    artifacts = []
    for name, mask in (("before", np.full((), np.inf)), ("after", np.full((1, WIDTH), np.inf))):
        nodes = [helper.make_node("Min", ["x", "mask"], ["least"]), helper.make_node("MatMul", ["least", "w"], ["y"])]
        weights = {"mask": mask.astype(np.float32), "w": random(WIDTH, 4)}
        artifacts.append(sealed_graph(graph(nodes, {"x": ["batch", WIDTH]}, ["y"], weights), tmp_path / name))
    require_finite_result(artifacts[0], artifacts[1], FIELD)
    with pytest.raises(BadRecipe, match="has infinity in mask"):
        require_finite_result(sealed_graph(product(1.0), tmp_path / "sound"), artifacts[1], FIELD)
