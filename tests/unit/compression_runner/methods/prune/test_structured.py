"""Structured pruning of tiny real models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
)

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.task_module import Classifier, Interface
from compression_runner.methods.prune.structured import prune_heads
from compression_runner.stages.method import Outcome
from compression_runner.training import model
from compression_runner.training.probes import trace_input
from compression_runner.training.student_initialization import keep_layers
from compressionjob.methods.prune import Prune
from tests.support import tiny_models
from tests.support.stage_data import labelled_tokens
from tests.support.stages import run_stage


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tiny_models.bert(tmp_path_factory.mktemp("models") / "bert", labels=3)
    return seal(place, "transformers", "text-classification")


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return seal(
        tiny_models.resnet(tmp_path_factory.mktemp("models") / "resnet"), "transformers", "image-classification"
    )


def pruned(artifact: Artifact, into: Path, **parameters: Any) -> Outcome:
    images = SampleSet([{"pixel_values": np.zeros((1, 16, 16), np.float32)}] * 4, "sha256:0")
    data = labelled_tokens() if artifact.task.startswith("text") else images
    outcome: Outcome = run_stage("prune", artifact, Prune(method="structured", **parameters), into, data=data)
    return outcome


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_channels_are_pruned(resnet: Artifact, tmp_path: Path, scope: str) -> None:
    outcome = pruned(resnet, tmp_path / "out", structure="channels", sparsity=0.5, scope=scope)
    assert outcome.details["parameters"] < 0.6 * outcome.details["parametersBefore"]
    assert outcome.artifact.format == "torch"
    again = model.load(outcome.artifact)
    assert again.outputs((torch.zeros(2, 1, 16, 16),))[0].shape == (2, 3)
    exported = run_stage("export", outcome.artifact, None, tmp_path / "onnx")
    assert exported.details["maxAbsDifference"] < 1e-4


def test_running_statistics_of_norms_are_kept(resnet: Artifact, tmp_path: Path) -> None:
    trained = model.load(resnet)
    trained.module.train(True)
    trained.outputs((torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(1)),))
    trained.module.train(False)
    (tmp_path / "trained").mkdir()
    kept = model.save(trained, resnet, tmp_path / "trained")
    outcome = pruned(kept, tmp_path / "out", structure="channels", sparsity=0.5)
    means = [buffer for name, buffer in model.load(outcome.artifact).module.named_buffers() if "running_mean" in name]
    assert all(mean.abs().sum() > 0 for mean in means)


def test_neurons_are_pruned(bert: Artifact, tmp_path: Path) -> None:
    outcome = pruned(bert, tmp_path / "out", structure="neurons", sparsity=0.5)
    layer = model.load(outcome.artifact).inner.get_submodule("bert.encoder.layer.1")
    assert layer.intermediate.dense.weight.shape == (32, 32)  # type: ignore[union-attr]
    assert layer.output.dense.weight.shape == (32, 32)  # type: ignore[union-attr]
    assert layer.attention.self.query.weight.shape == (32, 32)  # type: ignore[union-attr]


def test_heads_are_pruned(bert: Artifact, tmp_path: Path) -> None:
    outcome = pruned(bert, tmp_path / "out", structure="heads", sparsity=0.5)
    again = model.load(outcome.artifact)
    attention = again.inner.get_submodule("bert.encoder.layer.0.attention")
    assert attention.self.query.weight.shape == (16, 32)  # type: ignore[union-attr]
    assert attention.self.num_attention_heads == 1  # type: ignore[union-attr]
    assert attention.output.dense.weight.shape == (32, 16)  # type: ignore[union-attr]
    assert run_stage("export", outcome.artifact, None, tmp_path / "onnx").details["maxAbsDifference"] < 1e-4


def test_the_weakest_head_is_pruned(bert: Artifact, tmp_path: Path) -> None:
    weakened = model.load(bert)
    for layer in weakened.inner.bert.encoder.layer:  # type: ignore[union-attr]
        for linear in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):  # type: ignore[union-attr]
            with torch.no_grad():
                linear.weight[:16] *= 0.01
    (tmp_path / "weak").mkdir()
    artifact = model.save(weakened, bert, tmp_path / "weak")
    outcome = pruned(artifact, tmp_path / "out", structure="heads", sparsity=0.5)
    before = weakened.inner.get_submodule("bert.encoder.layer.0.attention.self.query").weight[16:]  # type: ignore[index]
    after = model.load(outcome.artifact).inner.get_submodule("bert.encoder.layer.0.attention.self.query").weight
    assert torch.equal(before, after)  # type: ignore[arg-type]


def test_the_layer_of_least_influence_is_pruned(bert: Artifact, tmp_path: Path) -> None:
    idle = model.load(bert)
    layer = idle.inner.bert.encoder.layer[0]  # type: ignore[union-attr, index]
    with torch.no_grad():
        for linear in (layer.attention.output.dense, layer.output.dense):
            linear.weight.zero_()
            linear.bias.zero_()
    (tmp_path / "idle").mkdir()
    outcome = pruned(model.save(idle, bert, tmp_path / "idle"), tmp_path / "out", structure="layers", sparsity=0.5)
    assert outcome.details["removedLayers"] == [0]
    assert outcome.artifact.format == "transformers"
    again = model.load(outcome.artifact)
    assert again.inner.config.num_hidden_layers == 1  # type: ignore[union-attr]
    assert again.outputs(trace_input(again, outcome.artifact.path).inputs)[0].shape == (2, 3)


@pytest.mark.parametrize("structure", ["heads", "layers", "neurons"])
def test_a_missing_structure_is_refused(resnet: Artifact, tmp_path: Path, structure: str) -> None:
    with pytest.raises(BadRecipe) as refused:
        pruned(resnet, tmp_path / "out", structure=structure, sparsity=0.5)
    assert refused.value.field.startswith("spec.pipeline[0].prune")


def test_channels_of_a_text_model_are_refused(bert: Artifact, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="no convolutions"):
        pruned(bert, tmp_path / "out", structure="channels", sparsity=0.5)


def test_the_stage_refuses_a_model_that_no_longer_runs(tmp_path: Path) -> None:
    """The code of Swin merges patches with a fixed number of channels."""
    swin = seal(tiny_models.swin(tmp_path / "swin"), "transformers", "image-classification")
    with pytest.raises(
        BadRecipe, match=r"does not run without some of its channels: Given normalized_shape"
    ) as refused:
        pruned(swin, tmp_path / "out", structure="channels", sparsity=0.5, scope="layer")
    assert refused.value.field == "spec.pipeline[0].prune.structure"


def test_a_model_that_torch_pruning_cannot_follow_is_refused(
    bert: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise TypeError("unsupported operand")

    monkeypatch.setattr("torch_pruning.DependencyGraph.build_dependency", fail)
    with pytest.raises(BadRecipe, match=r"neurons: torch-pruning cannot follow its layers: unsupported operand; use"):
        pruned(bert, tmp_path / "out", structure="neurons", sparsity=0.5)


def test_neurons_that_outputs_do_not_depend_on_are_kept(tmp_path: Path) -> None:
    """Embeddings are pooled from token states, not by the pooler of the model."""
    encoder = seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding")
    outcome = pruned(encoder, tmp_path / "out", structure="neurons", sparsity=0.5)
    inner = model.load(outcome.artifact).inner
    assert inner.get_submodule("encoder.layer.0.intermediate.dense").weight.shape == (32, 32)
    assert inner.get_submodule("pooler.dense").weight.shape == (32, 32)


def test_the_configuration_of_a_backbone_names_the_kept_layers(tmp_path: Path) -> None:
    config = BeitConfig(
        image_size=16, patch_size=8, num_channels=1, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    BeitForImageClassification(config).eval().save_pretrained(tmp_path / "beit")
    complete = seal(tmp_path / "beit", "transformers", "image-classification")
    outcome = pruned(complete, tmp_path / "out", structure="layers", sparsity=0.4)
    kept: Any = model.load(outcome.artifact).inner.config
    assert (kept.num_hidden_layers, kept.out_features, kept.out_indices) == (2, ["stage2"], [2])


def test_positions_of_the_first_layer_stay_in_the_first_layer() -> None:
    config = WavLMConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=[8, 8],
        conv_kernel=[10, 4], conv_stride=[8, 4], num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    inner = WavLMForSequenceClassification(config).eval()
    inputs = ("input_values",)
    complete = model.Trainable(Classifier(inner, inputs), Interface(inputs, "logits"), "audio-classification", None)
    last = keep_layers(complete, [1], "field").inner.state_dict()
    before = inner.state_dict()
    table, norm = "wavlm.encoder.layers.{}.attention.rel_attn_embed.weight", "wavlm.encoder.layers.{}.layer_norm.weight"
    assert torch.equal(last[table.format(0)], before[table.format(0)])
    assert torch.equal(last[norm.format(0)], before[norm.format(1)])


def test_a_norm_that_the_first_layer_lacks_is_dropped() -> None:
    config = ModernBertConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    )  # fmt: skip
    inner = ModernBertForSequenceClassification(config).eval()
    inputs = ("input_ids", "attention_mask")
    complete = model.Trainable(Classifier(inner, inputs), Interface(inputs, "logits"), "text-classification", None)
    last = keep_layers(complete, [1], "field").inner.state_dict()
    before = inner.state_dict()
    assert "model.layers.1.attn_norm.weight" in before
    assert torch.equal(last["model.layers.0.mlp.Wi.weight"], before["model.layers.1.mlp.Wi.weight"])


@pytest.mark.parametrize(
    ("built", "query", "shape"),
    [
        (
            lambda: LlamaForSequenceClassification(
                LlamaConfig(
                    vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                    num_key_value_heads=4, pad_token_id=0,
                )
            ),
            "model.layers.0.self_attn.q_proj",
            (16, 32),
        ),
        (
            lambda: DistilBertForSequenceClassification(
                DistilBertConfig(vocab_size=40, dim=32, n_layers=1, n_heads=4, hidden_dim=64)
            ),
            "distilbert.transformer.layer.0.attention.q_lin",
            (16, 32),
        ),
    ],
    ids=["llama", "distilbert"],
)  # fmt: skip
def test_heads_are_counted_by_their_number_or_width(
    built: Callable[[], Any], query: str, shape: tuple[int, int]
) -> None:
    inner = built().eval()
    inputs = ("input_ids", "attention_mask")
    complete = model.Trainable(Classifier(inner, inputs), Interface(inputs, "logits"), "text-classification", None)
    prune_heads(complete, 0.5, "field")
    assert inner.get_submodule(query).weight.shape == shape
    tokens = torch.ones(2, 5, dtype=torch.int64)
    assert complete.outputs((tokens, tokens))[0].shape == (2, 2)
