"""The factorize stage on tiny real models: outputs and details of replaced layers."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats import surgery
from compression_runner.formats.factors import FactorizedConvolution
from compression_runner.formats.task_module import Interface
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods import factorize as stage
from compression_runner.methods.factorize.checkpoint_model import CheckpointModel
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext
from compression_runner.training.model import Trainable
from compressionjob.methods.factorize import Factorize
from compressionjob.spec import Task
from tests.support import tiny_models
from tests.support.stage_data import FakeStageData
from tests.support.stages import answers, apply_method

FIELD = "spec.pipeline[0].factorize"


def token_samples() -> SampleSet:
    random = np.random.default_rng(4)
    samples = []
    for length in random.integers(4, 20, size=40):
        ids = random.integers(5, 30, size=length)
        ones = np.ones(length, np.int64)
        samples.append({"input_ids": ids, "attention_mask": ones, "token_type_ids": 0 * ones})
    return SampleSet(samples, "tokens", padding={"input_ids": 0, "attention_mask": 0, "token_type_ids": 0})


def factorize(artifact: Artifact, into: Path, samples: SampleSet | None = None, **parameters: Any) -> Outcome:
    into.mkdir()
    data = FakeStageData(samples) if samples else None
    return METHODS["factorize", ""].run(
        artifact, Factorize.model_validate(parameters), StageContext(into, FIELD, data=data)
    )


def tokens(batch: int = 3, length: int = 9) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    ones = np.ones((batch, length), np.int64)
    return {"input_ids": random.integers(5, 30, (batch, length)), "attention_mask": ones, "token_type_ids": 0 * ones}


@pytest.fixture(scope="module")
def low_rank_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BERT with linear layers and a token table of rank 4, so that factors of rank 4 are exact."""
    folder = tiny_models.bert(tmp_path_factory.mktemp("low-rank") / "bert")
    model: Any = load_model(folder, "text-embedding")
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                inner = [torch.randn((size, 4), generator=random) for size in module.weight.shape]
                module.weight.copy_(0.1 * inner[0] @ inner[1].T)
                # Distinct biases: the exporter merges equal biases, and biases name the layers.
                module.bias.normal_(generator=random)
        table = model.embeddings.word_embeddings.weight
        table.copy_(torch.randn((len(table), 4), generator=random) @ torch.randn((4, 32), generator=random))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def low_rank_graph(low_rank_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    into = tmp_path_factory.mktemp("low-rank-graph")
    source = seal(low_rank_bert, "transformers", "text-embedding")
    return METHODS["export", ""].run(source, None, StageContext(into, FIELD)).artifact


@pytest.mark.parametrize(("method", "rank"), [("svd", 4), ("nmf", 5)])
def test_a_low_rank_graph_keeps_its_outputs_and_gets_smaller(
    low_rank_graph: Artifact, tmp_path: Path, method: str, rank: int
) -> None:
    outcome = factorize(low_rank_graph, tmp_path / "out", method=method, rank=rank, exclude=["*position*"])
    np.testing.assert_allclose(answers(outcome.artifact, tokens()), answers(low_rank_graph, tokens()), atol=1e-4)
    assert outcome.artifact.size_bytes < 0.75 * low_rank_graph.size_bytes
    # Twelve linear layers and the table of tokens; the table of two segments has no rank 4.
    assert (outcome.details["factorized"], outcome.details["dense"]) == (13, 1)
    by_name = {layer["name"]: layer for layer in outcome.details["layers"]}
    query = next(layer for name, layer in by_name.items() if "layer.1.attention.self.query" in name)
    assert (query["shape"], query["rank"], query["sizeRatio"]) == ([32, 32], rank, rank / 16)
    assert query["lost"] < 1e-6
    assert next(layer for name, layer in by_name.items() if "token_type" in name)["kept"] == "dense"
    onnx.checker.check_model(onnx.load(outcome.artifact.model_file))


@pytest.mark.parametrize("method", ["svd", "nmf"])
def test_a_checkpoint_gets_trainable_modules(low_rank_bert: Path, tmp_path: Path, method: str) -> None:
    source = seal(low_rank_bert, "transformers", "text-embedding")
    outcome = factorize(source, tmp_path / "out", method=method, rank=6, exclude=["*position*"])
    assert outcome.artifact.format == "torch"
    before: Any = load_model(low_rank_bert, "text-embedding")
    after: Any = load_model(outcome.artifact.path, "text-embedding")
    given = {name: torch.from_numpy(value) for name, value in tokens().items()}
    with torch.no_grad():
        expected, got = (model(**given).last_hidden_state for model in (before, after))
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-3)
    layer = after.encoder.layer[0].intermediate.dense
    assert (tuple(layer.first.weight.shape), tuple(layer.second.weight.shape)) == ((6, 32), (64, 6))
    again = factorize(outcome.artifact, tmp_path / "again", method="svd", rank=4, include=["*position*"])
    changes = (again.artifact.path / "surgery.json").read_text()
    assert "position_embeddings" in changes
    assert "word_embeddings" in changes
    if method == "svd":
        (tmp_path / "exported").mkdir()
        METHODS["export", ""].run(again.artifact, None, StageContext(tmp_path / "exported", FIELD))


@pytest.mark.parametrize("format_", ["onnx", "transformers"])
@pytest.mark.parametrize("aware", [False, True])
def test_a_budget_compresses_the_least_sensitive_layers(
    bert: Path, exported: Artifact, tmp_path: Path, format_: str, aware: bool
) -> None:
    source = exported if format_ == "onnx" else seal(bert, "transformers", "text-embedding")
    settings: dict[str, Any] = {"budget": "0.8", "sensitivity": "outputs", "activationAware": aware}
    first = factorize(source, tmp_path / "first", token_samples(), **settings)
    second = factorize(source, tmp_path / "second", token_samples(), **settings)
    assert first.artifact.digest == second.artifact.digest
    if format_ == "onnx":
        assert 0.7 * source.size_bytes < first.artifact.size_bytes <= 0.8 * source.size_bytes
    chosen = {layer["name"] for layer in first.details["layers"] if "rank" in layer}
    assert chosen
    # An embedding is the mean over the last layer's states and does not depend on the pooler.
    assert format_ == "onnx" or any("pooler" in name for name in chosen)


def test_calibration_data_lowers_the_error_of_its_rows(exported: Artifact, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rank": 16, "include": ["*word_embeddings*"]}
    plain = factorize(exported, tmp_path / "plain", **settings).artifact
    aware = factorize(exported, tmp_path / "aware", token_samples(), activationAware=True, **settings).artifact
    expected = answers(exported, tokens(8, 12))
    errors = [np.abs(answers(artifact, tokens(8, 12)) - expected).mean() for artifact in (aware, plain)]
    assert errors[0] < errors[1]


def convolutions(folder: Path) -> Artifact:
    """Write a graph of two convolutions with strides, pads and dilations and low-rank kernels, and a grouped one."""
    random = np.random.default_rng(8)
    first = np.einsum("or,ir,ar,br->oiab", *(random.normal(size=(size, 2)) for size in (16, 8, 3, 5)))
    pointwise = random.normal(size=(12, 2)) @ random.normal(size=(2, 16))
    kernels = {
        "first": first,
        "pointwise": pointwise[:, :, None, None],
        "grouped": random.normal(size=(12, 6, 3, 3)),
    }
    bias = random.normal(size=16).astype(np.float32)
    settings: dict[str, Any] = {"strides": [2, 1], "pads": [1, 0, 2, 3], "dilations": [1, 2]}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first", "bias"], ["a"], "one", **settings),
            helper.make_node("Conv", ["a", "pointwise"], ["b"], "two", strides=[1, 2]),
            helper.make_node("Conv", ["b", "grouped"], ["y"], "three", group=2, auto_pad="SAME_UPPER"),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8, 11, 13])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 12, "height", "width"])],
        [
            *(numpy_helper.from_array(kernel.astype(np.float32), name) for name, kernel in kernels.items()),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "model.onnx"
    )
    return seal(folder, "onnx", "onnx")


@pytest.mark.parametrize(("method", "nodes"), [("tucker", 3 + 2 + 1), ("cp", 4 + 2 + 1)])
def test_low_rank_convolutions_keep_their_outputs(tmp_path: Path, method: str, nodes: int) -> None:
    source = convolutions(tmp_path / "source")
    outcome = factorize(source, tmp_path / "out", method=method, rank=2)
    feed = {"x": np.random.default_rng(9).normal(size=(2, 8, 11, 13)).astype(np.float32)}
    expected = answers(source, feed)
    np.testing.assert_allclose(answers(outcome.artifact, feed), expected, atol=2e-2 * np.abs(expected).max())
    assert len(onnx.load(outcome.artifact.model_file).graph.node) == nodes
    assert outcome.details["factorized"] == 2


@pytest.mark.parametrize("method", ["tucker", "cp"])
def test_a_resnet_meets_its_budget(tmp_path: Path, method: str) -> None:
    source = seal(tiny_models.resnet(tmp_path / "source"), "transformers", "image-classification")
    (tmp_path / "graph").mkdir()
    graph = METHODS["export", ""].run(source, None, StageContext(tmp_path / "graph", FIELD)).artifact
    random = np.random.default_rng(2)
    samples = [{"pixel_values": random.normal(size=(1, 16, 16)).astype(np.float32)} for _ in range(8)]
    settings: dict[str, Any] = {"method": method, "budget": "0.8", "sensitivity": "outputs"}
    outcome = factorize(graph, tmp_path / "out", SampleSet(samples, "pixels"), **settings)
    assert outcome.artifact.size_bytes <= 0.8 * graph.size_bytes
    assert answers(outcome.artifact, {"pixel_values": samples[0]["pixel_values"][None]}).shape == (1, 3)


def tied(folder: Path) -> Artifact:
    """Write a graph with a table whose transpose is the output layer, and a Gemm with alpha and beta."""
    random = np.random.default_rng(3)
    arrays = {"table": (40, 16), "gemm": (12, 16), "bias": (12,), "last": (12, 16)}
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["embedded"], "lookup"),
            helper.make_node("Gemm", ["embedded", "gemm", "bias"], ["hidden"], "gemm", transB=1, beta=0.5),
            helper.make_node("MatMul", ["hidden", "last"], ["wide"], "last"),
            helper.make_node("Transpose", ["table"], ["turned"], "turn", perm=[1, 0]),
            helper.make_node("MatMul", ["wide", "turned"], ["y"], "head"),
        ],
        "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 40])],
        [numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name) for name, shape in arrays.items()],
    )
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "model.onnx"
    )
    return seal(folder, "onnx", "onnx")


def test_a_shared_weight_stays_dense_and_a_gemm_keeps_its_bias(tmp_path: Path) -> None:
    source = tied(tmp_path / "source")
    outcome = factorize(source, tmp_path / "out", rank=6)
    shared = [layer["name"] for layer in outcome.details["layers"] if layer.get("kept") == "shared"]
    assert shared == ["table"]
    assert outcome.details["factorized"] == 2
    model = onnx.load(outcome.artifact.model_file)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    original = {t.name: numpy_helper.to_array(t) for t in onnx.load(source.model_file).graph.initializer}
    ids = np.arange(0, 40, 3)
    hidden = original["table"][ids] @ (arrays["gemm.factor0"] @ arrays["gemm.factor1"]) + 0.5 * original["bias"]
    expected = hidden @ (arrays["last.factor0"] @ arrays["last.factor1"]) @ original["table"].T
    np.testing.assert_allclose(answers(outcome.artifact, {"ids": ids}), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("parameters", "reason", "message"),
    [
        ({"method": "tucker", "rank": 2}, "NothingToFactorize", "takes convolutions, and the model has embeddings"),
        ({"rank": 2, "include": ["*decoder*"]}, "NothingToFactorize", "select none of the 15 layers"),
        ({"rank": 60000}, "NothingSmaller", "none of the 15 layers would become smaller"),
        ({"budget": "0.01"}, "BudgetOutOfReach", "still has"),
    ],
)
def test_impossible_factorizations_are_refused(
    exported: Artifact, tmp_path: Path, parameters: dict[str, Any], reason: str, message: str
) -> None:
    with pytest.raises(BadRecipe, match=message) as caught:
        factorize(exported, tmp_path / "out", **parameters)
    assert (caught.value.reason, caught.value.field) == (reason, FIELD)


def test_a_quantized_graph_has_nothing_to_factorize(exported: Artifact, tmp_path: Path) -> None:
    from compressionjob.methods.registry import Quantize

    (tmp_path / "int8").mkdir()
    quantized = apply_method("quantize", exported, Quantize(), StageContext(tmp_path / "int8", FIELD)).artifact
    with pytest.raises(BadRecipe, match=r"none in floating-point numbers|would become smaller"):
        factorize(quantized, tmp_path / "out", method="svd", rank=4, exclude=["*position*", "*type*"])


class Convolutional(torch.nn.Module):
    """Low-rank convolutions with strides, padding and dilations in two and three spatial axes, and a grouped one."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = torch.nn.Conv2d(8, 16, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
        self.same = torch.nn.Conv2d(16, 12, 3, padding="same", bias=False)
        self.pointwise = torch.nn.Conv2d(12, 16, 1, stride=(1, 2))
        self.grouped = torch.nn.Conv2d(16, 16, 3, groups=2)
        self.mirrored = torch.nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect")
        self.deep = torch.nn.Conv3d(16, 16, (2, 1, 3), stride=(1, 1, 2), padding=(1, 0, 0))
        random = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for layer in (self.flat, self.same, self.pointwise, self.deep):
                vectors = [torch.randn((size, 2), generator=random) for size in layer.weight.shape]
                letters = "abcde"[: len(vectors)]
                layer.weight.copy_(torch.einsum(",".join(f"{x}r" for x in letters) + "->" + letters, *vectors))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Run on pixels (batch, 8, height, width)."""
        values = self.mirrored(self.grouped(self.pointwise(self.same(self.flat(pixels)))))
        result: torch.Tensor = self.deep(values[:, :, None])
        return result


@pytest.mark.parametrize(
    ("method", "kernels"),
    [
        ("tucker", {"flat": 3, "same": 3, "pointwise": 2, "deep": 3}),
        ("cp", {"flat": 4, "same": 4, "pointwise": 2, "deep": 5}),
    ],
)
def test_factorized_convolutions_of_a_module_keep_outputs_and_reload(method: str, kernels: dict[str, int]) -> None:
    module, pixels = Convolutional(), torch.randn((2, 8, 17, 19), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(pixels)
    trainable = Trainable(Wrapped(module), Interface(("pixels",), "logits"), "image-classification", None)
    details = stage.factorize(
        CheckpointModel(trainable, None),
        Factorize.model_validate({"method": method, "rank": 2}),
        StageContext(Path(), FIELD),
    )
    assert details["factorized"] == 4
    with torch.no_grad():
        torch.testing.assert_close(module(pixels), expected, atol=2e-2 * float(expected.abs().max()), rtol=0)
    factors = {name: layer for name, layer in module.named_children() if isinstance(layer, FactorizedConvolution)}
    assert {name: len(layer) for name, layer in factors.items()} == kernels
    fresh = Convolutional()
    assert trainable.changes is not None
    surgery.apply(fresh, trainable.changes, {name: value.shape for name, value in module.state_dict().items()})
    fresh.load_state_dict(module.state_dict())
    with torch.no_grad():
        assert torch.equal(fresh(pixels), module(pixels))


class Wrapped(torch.nn.Module):
    """A module in the form of a task module."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model


@pytest.mark.parametrize("method", ["tucker", "cp"])
def test_factorized_convolutions_of_a_checkpoint_train_and_export(tmp_path: Path, method: str) -> None:
    source = seal(tiny_models.resnet(tmp_path / "source"), "transformers", "image-classification")
    outcome = factorize(source, tmp_path / "out", method=method, budget="0.8")
    assert outcome.artifact.format == "torch"
    again: Any = load_model(outcome.artifact.path, "image-classification")
    factors = [module for module in again.modules() if isinstance(module, FactorizedConvolution)]
    assert len(factors) == outcome.details["factorized"] > 0
    assert all(parameter.requires_grad for module in factors for parameter in module.parameters())
    (tmp_path / "graph").mkdir()
    METHODS["export", ""].run(outcome.artifact, None, StageContext(tmp_path / "graph", FIELD))


@pytest.mark.parametrize("method", ["svd", "nmf", "tucker", "cp"])
def test_accepted_and_returned_formats(method: str) -> None:
    parameters = Factorize.model_validate({"method": method, "rank": 4})
    entry = METHODS["factorize", ""]
    assert entry.accepts(parameters) == {"transformers", "torch", "onnx"}
    assert entry.gives("onnx", parameters) == "onnx"
    assert entry.gives("transformers", parameters) == "torch"


def test_the_task_is_kept(low_rank_graph: Artifact, tmp_path: Path) -> None:
    task: Task = low_rank_graph.task
    assert factorize(low_rank_graph, tmp_path / "out", energy="0.999").artifact.task == task
