"""Export, prune, quantize and pack on tiny real models."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file

from compression_runner.artifact import Artifact, load, seal
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats import comparison
from compression_runner.formats.probes import probes
from compression_runner.formats.task_module import wrap
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.pack.unpacking import unpack
from compression_runner.methods.prune.magnitude import lamp_scores
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.pack import Pack
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from compressionjob.spec import Task
from tests.support import tiny_models
from tests.support.stages import apply_method


def apply(name: str, artifact: Artifact, parameters: Any, into: Path) -> Outcome:
    into.mkdir()
    return apply_method(name, artifact, parameters, StageContext(into, f"spec.pipeline[0].{name}"))


def answers(artifact: Artifact, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(artifact.model_file), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def tokens(batch: int, length: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        "input_ids": random.integers(5, 30, (batch, length)),
        "attention_mask": np.ones((batch, length), np.int64),
        "token_type_ids": np.zeros((batch, length), np.int64),
    }


def test_an_export_has_free_axes_and_no_paths(exported: Artifact) -> None:
    assert answers(exported, tokens(3, 21)).shape == (3, 32)
    content = exported.model_file.read_bytes()
    assert b"site-packages" not in content
    assert exported.path.joinpath("tokenizer.json").is_file()


@pytest.mark.parametrize(
    ("task", "make"),
    [
        ("text-classification", lambda place: tiny_models.bert(place, labels=3)),
        ("image-classification", tiny_models.resnet),
    ],
)
def test_classifiers_are_exported_with_their_logits(tmp_path: Path, task: Task, make: Any) -> None:
    source = seal(make(tmp_path / "source"), "transformers", task)
    outcome = apply("export", source, None, tmp_path / "out")
    outputs = onnx.load(outcome.artifact.model_file).graph.output
    assert [output.name for output in outputs] == ["logits"]
    assert outcome.details["maxAbsDifference"] < 1e-4


def test_graphs_include_the_modules_of_sentence_transformers(tmp_path: Path) -> None:
    source = tiny_models.bert(tmp_path / "source")
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (source / "modules.json").write_text(
        '[{"type": "sentence_transformers.models.Transformer", "path": ""},'
        ' {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},'
        ' {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]'
    )
    outcome = apply("export", seal(source, "transformers", "text-embedding"), None, tmp_path / "out")
    feed = tokens(2, 9)
    model = load_model(source, "text-embedding")
    with torch.no_grad():
        states = model(**{name: torch.from_numpy(value) for name, value in feed.items()}).last_hidden_state[:, 0]
    expected = torch.nn.functional.normalize(states, dim=1).numpy()
    np.testing.assert_allclose(answers(outcome.artifact, feed), expected, atol=1e-5)
    assert not (outcome.artifact.path / "modules.json").exists()


def test_an_export_with_different_outputs_is_refused(bert: Path, exported: Artifact, tmp_path: Path) -> None:
    graph = onnx.load(exported.model_file)
    weight = next(tensor for tensor in graph.graph.initializer if len(tensor.dims) == 2 and tensor.dims[0] == 64)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.5, weight.name))
    onnx.save(graph, tmp_path / "model.onnx")
    model = load_model(bert, "text-embedding")
    module, interface = wrap(model, bert, "text-embedding")
    with pytest.raises(BadRecipe, match="differ by up to") as caught:
        comparison.compare(module, tmp_path / "model.onnx", interface, probes(model, bert, interface))
    assert caught.value.exit_code == 5


def test_probes_have_distinct_tensors_for_each_input(bert: Path) -> None:
    model = load_model(bert, "text-embedding")
    _, interface = wrap(model, bert, "text-embedding")
    for probe in probes(model, bert, interface):
        for index, tensor in enumerate(probe):
            assert not any(torch.equal(tensor, other) for other in probe[index + 1 :])


def test_a_checkpoint_without_a_head_is_refused(bert: Path) -> None:
    with pytest.raises(InvalidInput, match="which would be random"):
        load_model(bert, "text-classification")


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_pruning_zeroes_exactly_the_smallest_fraction(bert: Path, tmp_path: Path, scope: str) -> None:
    source = seal(bert, "transformers", "text-embedding")
    outcome = apply("prune", source, Prune.model_validate({"scope": scope, "sparsity": "0.3"}), tmp_path / "out")
    before, after = load_file(bert / "model.safetensors"), load_file(outcome.artifact.path / "model.safetensors")
    weights = [name for name, tensor in before.items() if tensor.dim() >= 2 and name.endswith("weight")]
    total = sum(before[name].numel() for name in weights)
    zeros = sum(int((after[name] == 0).sum()) for name in weights)
    assert abs(zeros - 0.3 * total) <= len(weights)
    for name, tensor in before.items():
        changed = tensor != after[name]
        if name not in weights:
            assert not changed.any()
        elif scope == "layer":
            kept = tensor[after[name] != 0].abs()
            assert tensor[changed].abs().max() <= kept.min()
    if scope == "global":
        pruned = max(float(before[name][before[name] != after[name]].abs().max()) for name in weights)
        kept_least = min(float(before[name][after[name] != 0].abs().min()) for name in weights)
        assert pruned <= kept_least


def test_lamp_scores_equal_those_of_the_paper(bert: Path, tmp_path: Path) -> None:
    """Compute the scores of the paper in a plain loop; no layer is pruned entirely."""
    weights = np.array([[0.5, -2.0], [1.0, 0.25]], np.float32)
    squares = np.sort(np.square(weights).reshape(-1))
    plain = {float(value): value / squares[index:].sum() for index, value in enumerate(squares)}
    expected = np.vectorize(lambda weight: plain[float(weight * weight)])(weights)
    np.testing.assert_allclose(lamp_scores(weights), expected, rtol=1e-6)
    np.testing.assert_allclose(lamp_scores(weights * 1e-3), lamp_scores(weights), rtol=1e-6)
    source = seal(bert, "transformers", "text-embedding")
    outcome = apply("prune", source, Prune.model_validate({"scope": "lamp", "sparsity": "0.9"}), tmp_path / "out")
    assert outcome.details["sparsity"] == pytest.approx(0.9, abs=1e-3)
    before, after = load_file(bert / "model.safetensors"), load_file(outcome.artifact.path / "model.safetensors")
    for name in (name for name, tensor in before.items() if tensor.dim() >= 2 and name.endswith("weight")):
        kept, pruned = before[name][after[name] != 0].abs(), before[name][after[name] == 0].abs()
        assert len(kept), name
        assert pruned.numel() == 0 or pruned.max() <= kept.min(), name


def test_pruning_takes_ties_in_order_and_keeps_the_type(tmp_path: Path) -> None:
    source = tiny_models.bert(tmp_path / "source", dtype=torch.bfloat16)
    sealed = seal(source, "transformers", "text-embedding")
    first = apply("prune", sealed, Prune.model_validate({"sparsity": "0.5"}), tmp_path / "first")
    second = apply("prune", sealed, Prune.model_validate({"sparsity": "0.5"}), tmp_path / "second")
    assert first.artifact.digest == second.artifact.digest
    assert first.details["sparsity"] == pytest.approx(0.5, abs=1e-3)
    after = load_file(first.artifact.path / "model.safetensors")
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}


def test_pruning_a_graph_changes_weights_of_layers_only(exported: Artifact, tmp_path: Path) -> None:
    outcome = apply("prune", exported, Prune.model_validate({"sparsity": "0.5"}), tmp_path / "out")
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(exported.model_file).graph.initializer}
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(outcome.artifact.model_file).graph.initializer}
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed
    assert all(before[name].ndim >= 2 for name in changed)
    assert outcome.details["sparsity"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_dynamic_int8_keeps_embeddings(exported: Artifact, tmp_path: Path, granularity: str) -> None:
    parameters = Quantize.model_validate({"granularity": granularity})
    outcome = apply("quantize", exported, parameters, tmp_path / "out")
    assert outcome.details["quantizedOperators"]["MatMulInteger"] == 12
    old, new = answers(exported, tokens(4, 12)), answers(outcome.artifact, tokens(4, 12))
    cosines = (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert cosines.min() > 0.98
    assert not np.array_equal(old, new)


def test_a_cast_to_float16_halves_the_weights_and_keeps_the_interface(exported: Artifact, tmp_path: Path) -> None:
    outcome = apply("quantize", exported, Quantize(method="cast", dtype="float16"), tmp_path / "out")
    np.testing.assert_allclose(
        answers(outcome.artifact, tokens(2, 8)), answers(exported, tokens(2, 8)), atol=5e-2, rtol=5e-2
    )
    types = {t.data_type for t in onnx.load(outcome.artifact.model_file).graph.initializer if len(t.dims) >= 2}
    assert onnx.TensorProto.FLOAT not in types


def test_a_quantized_graph_is_not_quantized_again(exported: Artifact, tmp_path: Path) -> None:
    once = apply("quantize", exported, Quantize(), tmp_path / "once").artifact
    with pytest.raises(BadRecipe, match="quantized already"):
        apply("quantize", once, Quantize(), tmp_path / "twice")


@pytest.mark.parametrize("codec", ["zstd", "lz4", "gzip"])
def test_packing_is_lossless_and_deterministic(exported: Artifact, tmp_path: Path, codec: Any) -> None:
    packed = apply("pack", exported, Pack(codec=codec), tmp_path / "packed").artifact
    again = apply("pack", exported, Pack(codec=codec), tmp_path / "again").artifact
    assert packed.digest == again.digest
    assert packed.size_bytes < exported.size_bytes
    assert [file.path for file in packed.files if file.weights] == [next(iter(packed.packing.originals))]  # type: ignore[union-attr]
    restored = unpack(load(packed.path), tmp_path / "restored")
    assert restored.digest == exported.digest
    assert restored.model_file.read_bytes() == exported.model_file.read_bytes()


def test_stages_accept_external_data(tmp_path: Path) -> None:
    source = tiny_models.perceptron(tmp_path / "source", external=True)
    sealed = seal(source, "onnx", "onnx", weights={"model.onnx", "weights"})
    pruned = apply("prune", sealed, Prune.model_validate({"sparsity": "0.5"}), tmp_path / "pruned").artifact
    quantized = apply("quantize", pruned, Quantize(), tmp_path / "quantized").artifact
    feed = {"x": np.random.default_rng(5).normal(size=(3, 64)).astype(np.float32)}
    assert answers(quantized, feed).shape == (3, 4)
    assert quantized.size_bytes < sealed.size_bytes
