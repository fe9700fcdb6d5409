"""The graph as a model of lm-evaluation-harness: its answers are those of Transformers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from lm_eval.api.instance import Instance
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import AutoModelForCausalLM, AutoTokenizer

from compression_runner.artifact import Artifact
from compression_runner.evaluation.recovery import reading
from compression_runner.evaluation.recovery.language_model import Graph
from compression_runner.evaluation.recovery.reading import Reader
from compression_runner.inference.onnx import OnnxPredictor
from tests.support.questions import choices_of, likelihood

PROMPTS = ("the cat sat on the mat", "the cat sat on the dog", "", "a bird in the rain ")


@pytest.fixture(scope="module")
def graph(llama: Path, exported_llama: Artifact) -> Graph:
    return Graph(OnnxPredictor(exported_llama.model_file, 1), AutoTokenizer.from_pretrained(llama), 128)


def requests(kind: str, arguments: Sequence[tuple[Any, ...]]) -> list[Instance]:
    return [Instance(request_type=kind, doc={}, arguments=one, idx=0) for one in arguments]


def test_log_likelihoods_are_those_of_transformers(llama: Path, graph: Graph) -> None:
    pairs = [(prompt, f" {choice}") for row, prompt in enumerate(PROMPTS) for choice in choices_of(row)]
    answers = graph.loglikelihood(requests("loglikelihood", pairs))
    for (prompt, choice), (value, greedy) in zip(pairs, answers, strict=True):
        # Without a prompt, the end token begins the text; spaces at the end of a prompt belong to the choice.
        start = prompt.rstrip() or "<end>"
        expected = likelihood(llama, start, prompt[len(start) :] + choice if prompt else choice)
        assert value == pytest.approx(expected[0], abs=1e-3), (prompt, choice)
        assert greedy == expected[1]


def test_a_greedy_continuation_is_reported_as_such(llama: Path, graph: Graph) -> None:
    text = graph.generate_until(requests("generate_until", [("the cat", {"until": [], "max_gen_toks": 3})]))[0]
    assert graph.loglikelihood(requests("loglikelihood", [("the cat", text)]))[0][1] is True
    assert graph.loglikelihood(requests("loglikelihood", [("the cat", "#$%")]))[0][1] is False


def test_rolling_log_likelihoods_cover_each_token_once(llama: Path, graph: Graph) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama)
    text = "the sun and the moon"
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer.encode(text)]])
    with torch.no_grad():
        chances = torch.log_softmax(model(ids).logits[0].double(), dim=-1)
    expected = float(chances[:-1].gather(1, ids[0, 1:, None]).sum())
    (value,) = graph.loglikelihood_rolling(requests("loglikelihood_rolling", [(text,)]))
    assert value == pytest.approx(expected, abs=1e-3)


def test_generated_texts_are_those_of_transformers(llama: Path, graph: Graph) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama)
    starts = ["the cat sat", "the cat ran on", "fish"]
    written = graph.generate_until(
        requests("generate_until", [(text, {"until": [], "max_gen_toks": 8}) for text in starts])
    )
    for text, answer in zip(starts, written, strict=True):
        ids = torch.tensor([tokenizer.encode(text)])
        with torch.no_grad():
            expected = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        assert answer == tokenizer.decode(expected, skip_special_tokens=True)
    stop = written[0][2]
    (short,) = graph.generate_until(requests("generate_until", [(starts[0], {"until": [stop], "max_gen_toks": 8})]))
    assert short == written[0].split(stop)[0]


def test_shared_starts_and_pieces_change_nothing(exported_llama: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    start = generator.integers(1, 250, 20).tolist()
    sequences = [[*start, *generator.integers(1, 250, 5).tolist()] for _ in range(3)] + [start[:10], start]
    predictor = OnnxPredictor(exported_llama.model_file, 1)
    fresh = [Reader(predictor).logits(tokens, 4) for tokens in sequences]
    monkeypatch.setattr(reading, "AT_ONCE", 3)
    reader = Reader(predictor)
    for tokens, expected in zip(sequences, fresh, strict=True):
        np.testing.assert_allclose(reader.logits(tokens, 4), expected, atol=1e-3)


def test_an_answer_that_is_not_finite_has_no_likelihood(llama: Path, exported_llama: Artifact, tmp_path: Path) -> None:
    model = onnx.load(exported_llama.model_file)
    for tensor in model.graph.initializer:
        values: NDArray[np.float32] = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 2:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
    onnx.save(model, tmp_path / "broken.onnx")
    broken = Graph(OnnxPredictor(tmp_path / "broken.onnx", 1), AutoTokenizer.from_pretrained(llama), 128)
    value, greedy = broken.loglikelihood(requests("loglikelihood", [("the", " cat")]))[0]
    assert math.isnan(value)
    assert not greedy
    assert broken.generate_until(requests("generate_until", [("the", {"until": [], "max_gen_toks": 4})])) == [""]
