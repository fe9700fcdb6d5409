"""Causal language models: export with a cache, which a full forward, single steps and padding must agree on."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.formats.decoder import decoder
from compression_runner.formats.transformers_model import load_model
from compression_runner.measurement.predictor import Predictor
from tests.tiny_models import LLAMA_TOKENS

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture(scope="module")
def predictor(exported_llama: Artifact) -> Predictor:
    return Predictor(exported_llama.model_file, threads=1)


def tokens(count: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(1, 257, size=(1, count))


def without_past(predictor: Predictor, batch: int = 1) -> Arrays:
    return {
        info.name: np.zeros((batch, int(info.shape[1] or 0), 0, int(info.shape[3] or 0)), np.float32)
        for info in predictor.inputs
        if info.name.startswith("past_key_values.")
    }


def answers(predictor: Predictor, feed: Arrays) -> Arrays:
    return dict(zip((info.name for info in predictor.outputs), predictor.run(feed), strict=True))


def present(found: Arrays) -> Arrays:
    return {name.replace("present.", "past_key_values."): array for name, array in found.items() if "present" in name}


def test_the_full_forward_is_that_of_transformers(llama: Path, predictor: Predictor) -> None:
    ids = tokens(40)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(llama)(torch.from_numpy(ids)).logits.numpy()
    found = answers(predictor, {"input_ids": ids, "attention_mask": np.ones_like(ids), **without_past(predictor)})
    np.testing.assert_allclose(found["logits"], expected, atol=1e-3)


def test_single_steps_with_a_cache_answer_as_the_full_forward(predictor: Predictor) -> None:
    ids = tokens(20, seed=1)
    whole = answers(predictor, {"input_ids": ids, "attention_mask": np.ones_like(ids), **without_past(predictor)})
    past, steps = without_past(predictor), []
    for at in range(ids.shape[1]):
        feed = {"input_ids": ids[:, at : at + 1], "attention_mask": np.ones((1, at + 1), np.int64), **past}
        found = answers(predictor, feed)
        past = present(found)
        steps.append(found["logits"][0, 0])
    np.testing.assert_allclose(np.stack(steps), whole["logits"][0], atol=1e-3)
    assert past["past_key_values.0.key"].shape[2] == 20


def test_padding_in_front_changes_nothing(predictor: Predictor) -> None:
    ids = tokens(12, seed=2)
    alone = answers(predictor, {"input_ids": ids, "attention_mask": np.ones_like(ids), **without_past(predictor)})
    padded = np.concatenate([np.zeros((1, 5), np.int64), ids], axis=1)
    mask = (np.arange(17) >= 5).astype(np.int64)[np.newaxis]
    found = answers(predictor, {"input_ids": padded, "attention_mask": mask, **without_past(predictor)})
    np.testing.assert_allclose(found["logits"][:, 5:], alone["logits"], atol=1e-3)


def test_an_embedding_that_is_the_head_too_is_stored_once(llama: Path, exported_llama: Artifact) -> None:
    graph = onnx.load(exported_llama.model_file).graph
    vocabulary = [tensor.name for tensor in graph.initializer if len(LLAMA_TOKENS) in tensor.dims]
    assert len(vocabulary) == 1
    stored = (llama / "model.safetensors").stat().st_size
    assert sum(len(tensor.raw_data) for tensor in graph.initializer) < 1.1 * stored


def test_a_model_without_keys_and_values_is_refused(bert: Path) -> None:
    with pytest.raises(BadRecipe, match="one key and one value per layer"):
        decoder(load_model(bert, "text-embedding"))
