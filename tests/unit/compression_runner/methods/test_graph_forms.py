"""All methods handle weights in any place that exporters use, or list the weights that they skip."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.formats.graph_weights import float_weights
from compression_runner.formats.normalization import require_valid
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from tests.support.cpu import least_cosine
from tests.support.graphs import conditional, graph, looped, random
from tests.support.runtimes import elsewhere
from tests.support.stage_data import array_samples, calibration
from tests.support.stages import answers, apply_method, sealed_graph

WIDTH = 32
X = random(50, WIDTH, seed=5)
KINDS: dict[str, Callable[..., Any]] = {"quantize": Quantize, "prune": Prune, "factorize": Factorize}
DYNAMIC = ("quantize", {"method": "dynamic"})
STATIC = ("quantize", {"method": "static"})
FLOAT8 = ("quantize", {"method": "static", "dtype": "float8"})
INT8 = ("quantize", {"method": "weight-only", "dtype": "int8"})
FLOAT16 = ("quantize", {"method": "cast", "dtype": "float16"})
BFLOAT16 = ("quantize", {"method": "cast", "dtype": "bfloat16"})
MAGNITUDE = ("prune", {"method": "magnitude", "scope": "layer", "sparsity": "0.5"})
WANDA = ("prune", {"method": "wanda", "sparsity": "0.5"})
TWO_OF_FOUR = ("prune", {"method": "magnitude", "pattern": "2:4", "sparsity": "0.5"})
SVD = ("factorize", {"method": "svd", "energy": "0.9"})
SPARSEGPT = ("prune", {"method": "sparsegpt", "sparsity": "0.5"})
NMF = ("factorize", {"method": "nmf", "energy": "0.5"})
OPENVINO = ("quantize", {"method": "static", "backend": "openvino"})
COARSE = ("factorize", {"method": "svd", "energy": "0.5"})
EVERY = [DYNAMIC, STATIC, FLOAT8, INT8, FLOAT16, BFLOAT16, MAGNITUDE, WANDA, TWO_OF_FOUR, SVD]


def stage_name(stage: tuple[str, dict[str, str]]) -> str:
    """Return the method, dtype and pattern of a stage."""
    return "-".join(value for key, value in stage[1].items() if key in ("method", "dtype", "pattern"))


def run(model: onnx.ModelProto, place: Path, stage: tuple[str, dict[str, str]]) -> tuple[Artifact, Outcome]:
    """Run one stage, and check that its graph is valid and has equal outputs in another runtime."""
    source = sealed_graph(model, place / "source")
    (place / "out").mkdir()
    context = StageContext(place / "out", "spec.pipeline[0]", data=calibration(array_samples(x=X)))
    outcome = apply_method(stage[0], source, KINDS[stage[0]].model_validate(stage[1]), context)
    require_valid(outcome.artifact.model_file, context.field)
    other, runtime = elsewhere(outcome.artifact.model_file, {"x": X})
    # onnxruntime rounds activations of low-bit weights, OpenVINO does not.
    assert similarity(answers(outcome.artifact, {"x": X}), other) > least(0.999, stage), runtime
    return source, outcome


def least(exact: float, stage: tuple[str, dict[str, str]]) -> float:
    """Return the least cosine to expect of a stage: less than `exact` for products of 8 bits that saturate."""
    return least_cosine(exact) if stage in (DYNAMIC, STATIC) else exact


def cosine(source: Artifact, outcome: Outcome) -> float:
    return similarity(*(answers(each, {"x": X}) for each in (source, outcome.artifact)))


def similarity(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Return the cosine of all values."""
    one, other = (each.astype(np.float64).ravel() for each in (before, after))
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def weight() -> NDArray[Any]:
    """Return a matrix of low rank, so that its factors are smaller."""
    return (random(WIDTH, 4, seed=1) @ random(4, WIDTH, seed=2)).astype(np.float32) / 8


def product(weights: str) -> list[onnx.NodeProto]:
    head = helper.make_node("Constant", [], ["head"], value=numpy_helper.from_array(random(WIDTH, 8, seed=3)))
    return [
        head,
        helper.make_node("MatMul", ["x", weights], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "head"], ["y"], name="last"),
    ]


def constants(opset: int = 17) -> onnx.ModelProto:
    first = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weight()))
    return with_opset(graph([first, *product("w")], {"x": ["batch", WIDTH]}, ["y"], {}), opset)


def transposed_weight(opset: int = 17) -> onnx.ModelProto:
    turn = helper.make_node("Transpose", ["w"], ["straight"], perm=[1, 0])
    return with_opset(graph([turn, *product("straight")], {"x": ["batch", WIDTH]}, ["y"], {"w": weight()}), opset)


def weight_among_inputs(opset: int = 17) -> onnx.ModelProto:
    """Return a graph whose weight is also an input."""
    model = graph(product("w"), {"x": ["batch", WIDTH], "w": [WIDTH, WIDTH]}, ["y"], {"w": weight()})
    return with_opset(model, opset)


def with_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    model.opset_import[0].version = opset
    model.ir_version = 7
    return model


@pytest.mark.parametrize("stage", EVERY, ids=stage_name)
@pytest.mark.parametrize("build", [constants, transposed_weight, weight_among_inputs])
def test_weights_in_any_place_are_compressed(build: Any, stage: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(build(), tmp_path, stage)
    assert cosine(source, outcome) > (0.8 if stage[0] == "prune" else least(0.99, stage))
    # The last weight is too small for smaller factors.
    assert outcome.details.get("left", []) == (["head"] if stage is SVD else [])
    if stage[0] == "prune":
        arrays = [numpy_helper.to_array(each) for each in float_weights(onnx.load(outcome.artifact.model_file))]
        assert [float(np.mean(array == 0)) for array in arrays] == pytest.approx([0.5, 0.5])
    else:
        assert outcome.artifact.size_bytes < 0.8 * source.size_bytes


@pytest.mark.parametrize("stage", [DYNAMIC, FLOAT16, BFLOAT16, MAGNITUDE], ids=stage_name)
@pytest.mark.parametrize("build", [conditional, looped])
def test_weights_in_bodies_are_compressed(build: Any, stage: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(build(WIDTH), tmp_path, stage)
    assert cosine(source, outcome) > (0.5 if stage[0] == "prune" else least(0.99, stage))
    assert "left" not in outcome.details
    weights = list(float_weights(onnx.load(outcome.artifact.model_file)))
    if stage[0] == "prune":
        assert [float(np.mean(numpy_helper.to_array(each) == 0)) for each in weights] == pytest.approx([0.5] * 3)
    else:
        assert TensorProto.FLOAT not in {each.data_type for each in weights}


@pytest.mark.parametrize("stage", [STATIC, FLOAT8, INT8, WANDA, SPARSEGPT, TWO_OF_FOUR, COARSE, NMF], ids=stage_name)
@pytest.mark.parametrize("build", [conditional, looped])
def test_skipped_weights_in_bodies_are_listed(build: Any, stage: tuple[str, Any], tmp_path: Path) -> None:
    source, outcome = run(build(WIDTH), tmp_path, stage)
    assert cosine(source, outcome) > (0.9 if stage[0] == "quantize" else 0.5)
    assert len(outcome.details["left"]) == 2
    assert outcome.details["leftBytes"] == 2 * 4 * WIDTH * WIDTH


def run_openvino(model: onnx.ModelProto, x: NDArray[Any], place: Path) -> Outcome:
    source = sealed_graph(model, place / "source")
    (place / "out").mkdir()
    context = StageContext(place / "out", "spec.pipeline[0].quantize", data=calibration(array_samples(x=x)))
    return apply_method("quantize", source, Quantize.model_validate(OPENVINO[1]), context)


def test_weights_in_a_loop_that_nncf_skips_are_listed(tmp_path: Path) -> None:
    details = run_openvino(looped(WIDTH), X, tmp_path).details
    assert len(details["left"]) == 2
    assert details["leftBytes"] == 2 * 4 * WIDTH * WIDTH


def test_nncf_quantizes_branches_that_the_calibration_data_takes(tmp_path: Path) -> None:
    model = conditional(WIDTH)
    with pytest.raises(BadRecipe, match="a branch of an If is never taken; use backend onnxruntime"):
        run_openvino(model, np.abs(X), tmp_path / "one")
    both = np.concatenate([-np.abs(X), np.abs(X)])
    assert "left" not in run_openvino(model, both, tmp_path / "both").details


@pytest.mark.parametrize("stage", EVERY, ids=stage_name)
def test_an_old_opset_is_raised_if_needed(stage: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(constants(opset=11), tmp_path, stage)
    assert cosine(source, outcome) > (0.8 if stage[0] == "prune" else least(0.99, stage))
    needs = {"static-float8": 21, "static": 13, "cast-bfloat16": 13}
    version = onnx.load(outcome.artifact.model_file).opset_import[0].version
    assert version == needs.get(stage_name(stage), 11)


def half(*, stored: bool) -> onnx.ModelProto:
    """Return a float16 graph, or with `stored` a float32 graph that casts its float16 weight."""
    kind = TensorProto.FLOAT if stored else TensorProto.FLOAT16
    cast = helper.make_node("Cast", ["w"], ["wide"], to=kind)
    product = helper.make_node("MatMul", ["x", "wide" if stored else "w"], ["y"])
    nodes = [cast, product] if stored else [product]
    model = graph(nodes, {"x": ["batch", WIDTH]}, ["y"], {"w": weight().astype(np.float16)}, {"x": kind})
    model.graph.output[0].type.tensor_type.elem_type = kind
    return with_opset(model, 17)


@pytest.mark.parametrize("stage", [DYNAMIC, STATIC, INT8, MAGNITUDE], ids=stage_name)
def test_a_weight_stored_in_float16_is_compressed(stage: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(half(stored=True), tmp_path, stage)
    assert cosine(source, outcome) > (0.8 if stage[0] == "prune" else least(0.99, stage))
    assert outcome.artifact.size_bytes < 1.01 * source.size_bytes
    assert "left" not in outcome.details


@pytest.mark.parametrize("stage", [DYNAMIC, STATIC], ids=stage_name)
def test_a_graph_of_float16_is_refused(stage: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"is float16 \(1 of 1 weights, for example w\).*name the float32 model"):
        run(half(stored=False), tmp_path, stage)


def test_casts_of_a_float16_body_are_inside_it(tmp_path: Path) -> None:
    model = looped(WIDTH)
    body = next(entry.g for entry in model.graph.node[0].attribute if entry.name == "body")
    body.node[3].output[0] = "grown"
    body.node.append(helper.make_node("CumSum", ["grown", "axis"], ["next"]))
    model.graph.initializer.append(numpy_helper.from_array(np.int64(1), "axis"))
    source, outcome = run(model, tmp_path, FLOAT16)
    assert cosine(source, outcome) > 0.999


@pytest.mark.parametrize("shape", [(1, 8), (1,), (1, 1), ()])
def test_a_bias_of_any_shape_is_quantized(shape: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "images"], ["i"]),
        helper.make_node("Conv", ["i", "kernel"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    weights = {
        "images": np.array([-1, 2, 4, 4], np.int64),
        "kernel": random(4, 2, 3, 3, seed=4),
        "w": random(16, 8, seed=6),
        "b": random(*shape, seed=7),
    }
    model = with_opset(graph(nodes, {"x": ["batch", WIDTH]}, ["y"], weights), 17)
    source, outcome = run(model, tmp_path, STATIC)
    assert cosine(source, outcome) > 0.99


def test_skipped_convolutions_are_listed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "images"], ["i"]),
        helper.make_node("Conv", ["i", "kernel"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    weights = {"images": np.array([-1, 2, 4, 4], np.int64), "kernel": random(4, 2, 3, 3), "w": random(16, 8)}
    _, outcome = run(with_opset(graph(nodes, {"x": ["batch", WIDTH]}, ["y"], weights), 17), tmp_path, INT8)
    assert outcome.details["left"] == {"kernel": "no MatMul, Gemm or look-up"}
    assert outcome.details["leftBytes"] == 4 * 72


@pytest.mark.parametrize("stage", [DYNAMIC, STATIC, INT8], ids=stage_name)
def test_a_quantized_graph_stores_no_intermediate_shapes(stage: Any, tmp_path: Path) -> None:
    """They follow from the graph, and are a tenth of the file of a small model."""
    model = onnx.shape_inference.infer_shapes(constants())
    assert model.graph.value_info
    _, outcome = run(model, tmp_path, stage)
    assert not onnx.load(outcome.artifact.model_file).graph.value_info
