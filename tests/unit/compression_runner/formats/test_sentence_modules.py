"""The pooling of a sentence-transformers folder equals that of the library, or is refused before any download."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

from compression_runner.artifact import seal
from compression_runner.errors import BadRecipe, InvalidInput, RunnerError
from compression_runner.formats.companions import copy_companions
from compression_runner.formats.source.inspection import inspect
from compression_runner.training import model as training
from compressionjob.spec import Model
from tests.support import tiny_models
from tests.support.graphs import linear
from tests.support.own_answers import baseline, embedded, measured, samples
from tests.support.plans import open_store
from tests.support.text_families import HIDDEN, text_model

OLD = {
    "word_embedding_dimension": HIDDEN,
    **{
        f"pooling_mode_{name}": False
        for name in (
            "cls_token",
            "mean_tokens",
            "max_tokens",
            "mean_sqrt_len_tokens",
            "weightedmean_tokens",
            "lasttoken",
        )
    },
    "include_prompt": True,
}
NEW = {"embedding_dimension": HIDDEN, "include_prompt": True}
PROMPT = {"prompts": {"query": "a cat : "}, "default_prompt_name": "query"}
DENSE = {"in_features": HIDDEN, "out_features": 8, "bias": True}
TANH = "torch.nn.modules.activation.Tanh"


def old(*modes: str) -> dict[str, object]:
    """Return a pooling in the format of versions before 5.4."""
    return OLD | {f"pooling_mode_{mode}": True for mode in modes}


def sentence_model(
    folder: Path,
    pooling: dict[str, object],
    *more: tuple[str, dict[str, object]],
    prompts: dict[str, object] | None = None,
    family: str = "bert",
) -> Path:
    """Write a folder with a pooling and the modules behind it; Dense and LayerNorm get random weights."""
    text_model(folder, family, "text-embedding")
    modules = [("Transformer", {}), ("Pooling", pooling), *more]
    listed = []
    for index, (kind, config) in enumerate(modules):
        path = f"{index}_{kind}" if index else ""
        listed.append({"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"})
        if path:
            (folder / path).mkdir()
            (folder / path / "config.json").write_text(json.dumps(config))
            weights = _weights(kind, config)
            if weights:
                save_file(weights, folder / path / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts or {"prompts": {}}))
    return folder


def _weights(kind: str, config: dict[str, Any]) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    if kind == "Dense":
        weights = {"linear.weight": torch.randn(config["out_features"], config["in_features"])}
        weights |= {"linear.bias": torch.randn(config["out_features"])} if config.get("bias", True) else {}
        if config.get("use_residual"):
            weights["residual.weight"] = torch.randn(config["out_features"], config["in_features"])
        return weights
    return {"norm.weight": torch.randn(HIDDEN), "norm.bias": torch.randn(HIDDEN)} if kind == "LayerNorm" else {}


def plan_source(folder: Path) -> None:
    """Inspect a folder like the command `plan`."""
    inspect(open_store(folder), Model(source=f"file://{folder}", task="text-embedding"))


@pytest.mark.parametrize(
    ("pooling", "more", "prompts"),
    [
        (old("cls_token"), (), None),
        (old("max_tokens"), (), None),
        (old("mean_sqrt_len_tokens"), (), None),
        (old("weightedmean_tokens"), (), None),
        (old("lasttoken"), (), None),
        (old("mean_tokens", "cls_token", "lasttoken"), (), None),
        (OLD, (), None),
        (NEW | {"pooling_mode": "cls"}, (), None),
        (NEW | {"pooling_mode": ["lasttoken", "mean", "cls"]}, (("Normalize", {}),), None),
        (old("cls_token") | {"pooling_mode": "max"}, (), None),
        (NEW, (("Dense", DENSE | {"activation_function": TANH}), ("Normalize", {})), None),
        (NEW, (("Normalize", {}), ("Dense", DENSE | {"bias": False, "use_residual": True})), None),
        (
            NEW | {"pooling_mode": "mean"},
            (
                ("Dense", DENSE | {"activation_function": "torch.nn.modules.linear.Identity", "out_features": HIDDEN}),
                ("LayerNorm", {"dimension": HIDDEN}),
                ("Dropout", {"dropout": 0.5}),
            ),
            None,
        ),
        (NEW, (), PROMPT),
        (NEW | {"pooling_mode": ["mean", "cls", "weightedmean", "lasttoken"], "include_prompt": False}, (), PROMPT),
    ],
)
def test_embeddings_equal_those_of_sentence_transformers(
    tmp_path: Path,
    pooling: dict[str, object],
    more: tuple[tuple[str, dict[str, object]], ...],
    prompts: dict[str, object] | None,
) -> None:
    folder = sentence_model(tmp_path / "model", pooling, *more, prompts=prompts)
    rows, predictor = tiny_models.sentences(12), baseline(folder, "text-embedding")
    data = samples(folder, "text-embedding", rows)
    for batch in (1, 8):
        own = embedded(folder, rows, batch)
        np.testing.assert_allclose(measured(predictor, data, "text-embedding", batch), own, atol=1e-5 * abs(own).max())


def test_an_exported_graph_includes_all_modules_but_the_prompt(tmp_path: Path) -> None:
    pooling = NEW | {"pooling_mode": ["cls", "lasttoken", "weightedmean"], "include_prompt": False}
    more = ("Dense", DENSE | {"in_features": 3 * HIDDEN, "activation_function": TANH})
    SentenceTransformer(
        str(sentence_model(tmp_path / "old", pooling, more, ("Normalize", {}), prompts=PROMPT)), device="cpu"
    ).save_pretrained(str(tmp_path / "model"), create_model_card=False)
    folder = tmp_path / "model"
    plan_source(folder)
    rows = tiny_models.sentences(12)
    with baseline(folder, "text-embedding", into=tmp_path / "out") as predictor:
        embeddings = measured(predictor, samples(folder, "text-embedding", rows), "text-embedding", 8)
    copy_companions(seal(folder, "transformers", "text-embedding"), tmp_path / "out", exported=True)
    assert not (tmp_path / "out" / "modules.json").exists()
    again = samples(tmp_path / "out", "text-embedding", rows)
    assert [sample["input_ids"].tolist() for sample in again.samples] == [
        sample["input_ids"].tolist() for sample in samples(folder, "text-embedding", rows).samples
    ], "texts for the exported graph get the prompt too"
    np.testing.assert_allclose(embeddings, embedded(folder, rows, 8), atol=1e-5)


def test_training_keeps_the_modules_behind_the_pooling(tmp_path: Path) -> None:
    folder = sentence_model(tmp_path / "model", NEW, ("Dense", DENSE))
    before = seal(folder, "transformers", "text-embedding")
    trainable = training.load(before)
    assert not list(trainable.module.pooling.parameters()), "they are never trained, pruned or factorized"  # type: ignore[union-attr, operator]
    (tmp_path / "out").mkdir()
    after = training.save(trainable, before, tmp_path / "out")
    rows = tiny_models.sentences(4)
    assert after.size_bytes > before.size_bytes // 2
    np.testing.assert_allclose(embedded(tmp_path / "out", rows, 4), embedded(folder, rows, 4), atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "more", "kind", "message"),
    [
        (NEW | {"pooling_mode": "median"}, (), BadRecipe, '"median" is unknown'),
        (NEW | {"pooling_mode": ["mean", "first"]}, (), BadRecipe, '"first" is unknown'),
        (NEW | {"pooling_mode": None}, (), BadRecipe, "null is unknown"),
        (OLD | {"pooling_mode_median_tokens": True}, (), BadRecipe, "pooling_mode_median_tokens is unknown"),
        ({}, (), InvalidInput, "missing or empty"),
        (NEW, (("CNN", {}),), BadRecipe, "the module CNN is not supported"),
        (NEW, (("Dense", DENSE | {"activation_function": "mine.Wave"}),), BadRecipe, "activation_function mine.Wave"),
        (NEW, (("Normalize", {"module_input_name": "token_embeddings"}),), BadRecipe, "works on token_embeddings"),
    ],
)
def test_unknown_modules_and_modes_are_refused_by_name(
    tmp_path: Path,
    pooling: dict[str, object],
    more: tuple[tuple[str, dict[str, object]], ...],
    kind: type[RunnerError],
    message: str,
) -> None:
    folder = sentence_model(tmp_path / "model", pooling, *more)
    with pytest.raises(kind, match=message):
        plan_source(folder)


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Transformer", "path": ""}],
            "do not begin with Transformer",
        ),
        ("modules.json", [{"type": "custom_st.Transformer", "path": ""}], "is code of the model"),
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Transformer", "path": "../x"}],
            "outside the model's folder",
        ),
        ("modules.json", {"a": 1}, "not a list of modules"),
        (
            "config_sentence_transformers.json",
            {"prompts": {}, "default_prompt_name": "query"},
            "not one of its prompts",
        ),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"max_length": 3}}}, "processing_kwargs"),
        ("sentence_bert_config.json", {"modality_config": {"message": {"method": "forward"}}}, "chat messages"),
        ("sentence_bert_config.json", ["max_seq_length"], "not a JSON object"),
    ],
)
def test_unsupported_settings_are_refused(tmp_path: Path, name: str, content: object, message: str) -> None:
    folder = sentence_model(tmp_path / "model", NEW)
    write(folder, name, content)
    with pytest.raises((InvalidInput, BadRecipe), match=message):
        plan_source(folder)


def test_weights_of_modules_are_fetched_and_pickles_refused(tmp_path: Path) -> None:
    folder = sentence_model(tmp_path / "model", NEW, ("Dense", DENSE))
    source = inspect(open_store(folder), Model(source=f"file://{folder}", task="text-embedding"))
    assert source.weights == {"model.safetensors", "2_Dense/model.safetensors"}
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"2_Dense.*pickle") as caught:
        plan_source(folder)
    assert caught.value.reason == "PickleRefused"


def test_prompts_without_modules_are_refused(tmp_path: Path) -> None:
    folder = sentence_model(tmp_path / "model", NEW, prompts=PROMPT)
    (folder / "modules.json").unlink()
    with pytest.raises(InvalidInput, match=r"modules\.json is missing"):
        plan_source(folder)


@pytest.mark.parametrize(
    ("output", "pooling", "more", "refused"),
    [
        ("last_hidden_state", old("mean_tokens"), (("Normalize", {}),), False),
        ("last_hidden_state", old("cls_token"), (), True),
        ("token_embeddings", NEW, (("Dense", DENSE),), True),
        ("sentence_embedding", old("cls_token"), (), False),
    ],
)
def test_a_graph_of_token_states_needs_mean_pooling(
    tmp_path: Path,
    output: str,
    pooling: dict[str, object],
    more: tuple[tuple[str, dict[str, object]], ...],
    refused: bool,
) -> None:
    folder = sentence_model(tmp_path / "model", pooling, *more)
    (folder / "model.safetensors").unlink()
    graph = linear(folder / "model.onnx", np.eye(3, dtype=np.float32), "batch", output)
    expected = pytest.raises(BadRecipe, match="mean is measured") if refused else contextlib.nullcontext()
    with expected:
        inspect(open_store(graph.parent), Model(source=f"file://{folder}", task="text-embedding", format="onnx"))
