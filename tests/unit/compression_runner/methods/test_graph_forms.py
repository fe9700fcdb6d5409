"""Every method takes weights wherever an exporter has put them, or names those that it leaves out."""

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
COARSE = ("factorize", {"method": "svd", "energy": "0.5"})
EVERY = [DYNAMIC, STATIC, FLOAT8, INT8, FLOAT16, BFLOAT16, MAGNITUDE, WANDA, TWO_OF_FOUR, SVD]


def name_of(what: tuple[str, dict[str, str]]) -> str:
    """Return the words of the parameters."""
    return "-".join(value for key, value in what[1].items() if key in ("method", "dtype", "pattern"))


def run(model: onnx.ModelProto, place: Path, what: tuple[str, dict[str, str]]) -> tuple[Artifact, Outcome]:
    """Run one stage, whose result has to be a valid graph that answers alike in another runtime."""
    source = sealed_graph(model, place / "source")
    (place / "out").mkdir()
    context = StageContext(place / "out", "spec.pipeline[0]", data=calibration(array_samples(x=X)))
    outcome = apply_method(what[0], source, KINDS[what[0]].model_validate(what[1]), context)
    require_valid(outcome.artifact.model_file, context.field)
    other, runtime = elsewhere(outcome.artifact.model_file, {"x": X})
    # onnxruntime rounds activations where weights have few bits, and OpenVINO does not.
    assert alike(answers(outcome.artifact, {"x": X}), other) > 0.999, runtime
    return source, outcome


def cosine(source: Artifact, outcome: Outcome) -> float:
    return alike(*(answers(each, {"x": X}) for each in (source, outcome.artifact)))


def alike(old: NDArray[Any], new: NDArray[Any]) -> float:
    """Return the cosine of all values."""
    one, other = (each.astype(np.float64).ravel() for each in (old, new))
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def weight() -> NDArray[Any]:
    """Return a matrix of low rank, so that factors are worth their bytes."""
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
    return old(graph([first, *product("w")], {"x": ["batch", WIDTH]}, ["y"], {}), opset)


def turned(opset: int = 17) -> onnx.ModelProto:
    turn = helper.make_node("Transpose", ["w"], ["straight"], perm=[1, 0])
    return old(graph([turn, *product("straight")], {"x": ["batch", WIDTH]}, ["y"], {"w": weight()}), opset)


def listed(opset: int = 17) -> onnx.ModelProto:
    """Return a graph whose weight is an input too."""
    model = graph(product("w"), {"x": ["batch", WIDTH], "w": [WIDTH, WIDTH]}, ["y"], {"w": weight()})
    return old(model, opset)


def old(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    model.opset_import[0].version = opset
    model.ir_version = 7
    return model


@pytest.mark.parametrize("what", EVERY, ids=name_of)
@pytest.mark.parametrize("build", [constants, turned, listed])
def test_weights_are_found_wherever_they_are(build: Any, what: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(build(), tmp_path, what)
    assert cosine(source, outcome) > (0.8 if what[0] == "prune" else 0.99)
    # The last product has too few numbers for factors to be fewer.
    assert outcome.details.get("left", []) == (["head"] if what is SVD else [])
    if what[0] == "prune":
        arrays = [numpy_helper.to_array(each) for each in float_weights(onnx.load(outcome.artifact.model_file))]
        assert [float(np.mean(array == 0)) for array in arrays] == pytest.approx([0.5, 0.5])
    else:
        assert outcome.artifact.size_bytes < 0.8 * source.size_bytes


@pytest.mark.parametrize("what", [DYNAMIC, FLOAT16, BFLOAT16, MAGNITUDE], ids=name_of)
@pytest.mark.parametrize("build", [conditional, looped])
def test_weights_in_bodies_are_changed(build: Any, what: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(build(WIDTH), tmp_path, what)
    assert cosine(source, outcome) > (0.5 if what[0] == "prune" else 0.99)
    assert "left" not in outcome.details
    found = list(float_weights(onnx.load(outcome.artifact.model_file)))
    if what[0] == "prune":
        assert [float(np.mean(numpy_helper.to_array(each) == 0)) for each in found] == pytest.approx([0.5] * 3)
    else:
        assert TensorProto.FLOAT not in {each.data_type for each in found}


@pytest.mark.parametrize("what", [STATIC, INT8, WANDA, TWO_OF_FOUR, COARSE], ids=name_of)
@pytest.mark.parametrize("build", [conditional, looped])
def test_weights_in_bodies_are_named_where_they_stay(build: Any, what: tuple[str, Any], tmp_path: Path) -> None:
    source, outcome = run(build(WIDTH), tmp_path, what)
    assert cosine(source, outcome) > (0.9 if what[0] == "quantize" else 0.5)
    assert len(outcome.details["left"]) == 2
    assert outcome.details["leftBytes"] == 2 * 4 * WIDTH * WIDTH


@pytest.mark.parametrize("what", EVERY, ids=name_of)
def test_an_old_opset_is_raised_where_that_is_needed(what: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(constants(opset=11), tmp_path, what)
    assert cosine(source, outcome) > (0.8 if what[0] == "prune" else 0.99)
    needs = {"static-float8": 21, "static": 13, "cast-bfloat16": 13}
    version = onnx.load(outcome.artifact.model_file).opset_import[0].version
    assert version == needs.get(name_of(what), 11)


def half(*, stored: bool) -> onnx.ModelProto:
    """Return a graph of float16, or, `stored`, one that casts its weight to float32 before it multiplies."""
    kind = TensorProto.FLOAT if stored else TensorProto.FLOAT16
    cast = helper.make_node("Cast", ["w"], ["wide"], to=kind)
    product = helper.make_node("MatMul", ["x", "wide" if stored else "w"], ["y"])
    nodes = [cast, product] if stored else [product]
    model = graph(nodes, {"x": ["batch", WIDTH]}, ["y"], {"w": weight().astype(np.float16)}, {"x": kind})
    model.graph.output[0].type.tensor_type.elem_type = kind
    return old(model, 17)


@pytest.mark.parametrize("what", [DYNAMIC, STATIC, INT8, MAGNITUDE], ids=name_of)
def test_a_weight_that_is_only_stored_in_float16_is_found(what: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    source, outcome = run(half(stored=True), tmp_path, what)
    assert cosine(source, outcome) > (0.8 if what[0] == "prune" else 0.99)
    assert outcome.artifact.size_bytes < 1.01 * source.size_bytes
    assert "left" not in outcome.details


@pytest.mark.parametrize("what", [DYNAMIC, STATIC], ids=name_of)
def test_a_graph_of_float16_is_refused(what: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"is float16 \(1 of 1 weights, w among them\).*name the float32 model"):
        run(half(stored=False), tmp_path, what)


def test_casts_of_a_float16_body_stand_within_it(tmp_path: Path) -> None:
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
    model = old(graph(nodes, {"x": ["batch", WIDTH]}, ["y"], weights), 17)
    source, outcome = run(model, tmp_path, STATIC)
    assert cosine(source, outcome) > 0.99


def test_convolutions_are_named_where_they_stay(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "images"], ["i"]),
        helper.make_node("Conv", ["i", "kernel"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    weights = {"images": np.array([-1, 2, 4, 4], np.int64), "kernel": random(4, 2, 3, 3), "w": random(16, 8)}
    _, outcome = run(old(graph(nodes, {"x": ["batch", WIDTH]}, ["y"], weights), 17), tmp_path, INT8)
    assert outcome.details["left"] == {"kernel": "no MatMul, Gemm or look-up"}
    assert outcome.details["leftBytes"] == 4 * 72


@pytest.mark.parametrize("what", [DYNAMIC, STATIC, INT8], ids=name_of)
def test_a_quantized_graph_does_not_store_the_shapes_between_its_nodes(what: Any, tmp_path: Path) -> None:
    """They follow from the graph, and in a small model they are a tenth of the file."""
    model = onnx.shape_inference.infer_shapes(constants())
    assert model.graph.value_info
    _, outcome = run(model, tmp_path, what)
    assert not onnx.load(outcome.artifact.model_file).graph.value_info
