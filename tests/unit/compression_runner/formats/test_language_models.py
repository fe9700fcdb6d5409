"""Export of causal language models with a cache: whole texts, single steps and padding give equal logits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.text import Perplexity
from transformers import AutoModelForCausalLM

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.dataset.windows import windows
from compression_runner.errors import BadRecipe
from compression_runner.evaluation.answers.decoding import decode_step, texts_at_once
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.measurements import MeasuredModel
from compression_runner.evaluation.speed.system_under_test import offline_batch
from compression_runner.formats.decoder import decoder
from compression_runner.formats.transformers_model import load_model
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import Predictor
from compression_runner.stages.method import StageContext
from compressionjob.estimate import Estimate
from compressionjob.methods.registry import Quantize
from compressionjob.objectives import Sla
from compressionjob.spec import Benchmark, CompressionJobSpec
from tests.support.stages import apply_method
from tests.support.tiny_models import LLAMA_TOKENS

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture(scope="module")
def predictor(exported_llama: Artifact) -> Predictor:
    return OnnxPredictor(exported_llama.model_file, threads=1)


def tokens(count: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(1, 257, size=(1, count))


def empty_cache(predictor: Predictor, batch: int = 1) -> Arrays:
    return {
        info.name: np.zeros((batch, int(info.shape[1] or 0), 0, int(info.shape[3] or 0)), np.float32)
        for info in predictor.inputs
        if info.name.startswith("past_key_values.")
    }


def answers(predictor: Predictor, feed: Arrays) -> Arrays:
    return dict(zip((info.name for info in predictor.outputs), predictor.run(feed), strict=True))


def present(outputs: Arrays) -> Arrays:
    return {name.replace("present.", "past_key_values."): array for name, array in outputs.items() if "present" in name}


def test_logits_of_whole_texts_equal_those_of_transformers(llama: Path, predictor: Predictor) -> None:
    ids = tokens(40)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(llama)(torch.from_numpy(ids)).logits.numpy()
    outputs = answers(predictor, {"input_ids": ids, "attention_mask": np.ones_like(ids), **empty_cache(predictor)})
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-3)


def test_single_steps_equal_the_whole_text(predictor: Predictor) -> None:
    ids = tokens(20, seed=1)
    whole = answers(predictor, {"input_ids": ids, "attention_mask": np.ones_like(ids), **empty_cache(predictor)})
    past, steps = empty_cache(predictor), []
    for at in range(ids.shape[1]):
        feed = {"input_ids": ids[:, at : at + 1], "attention_mask": np.ones((1, at + 1), np.int64), **past}
        outputs = answers(predictor, feed)
        past = present(outputs)
        steps.append(outputs["logits"][0, 0])
    np.testing.assert_allclose(np.stack(steps), whole["logits"][0], atol=1e-3)
    assert past["past_key_values.0.key"].shape[2] == 20


def test_padding_in_front_has_no_effect(predictor: Predictor) -> None:
    ids = tokens(12, seed=2)
    alone = answers(predictor, {"input_ids": ids, "attention_mask": np.ones_like(ids), **empty_cache(predictor)})
    padded = np.concatenate([np.zeros((1, 5), np.int64), ids], axis=1)
    mask = (np.arange(17) >= 5).astype(np.int64)[np.newaxis]
    outputs = answers(predictor, {"input_ids": padded, "attention_mask": mask, **empty_cache(predictor)})
    np.testing.assert_allclose(outputs["logits"][:, 5:], alone["logits"], atol=1e-3)


def test_a_tied_embedding_is_stored_once(llama: Path, exported_llama: Artifact) -> None:
    graph = onnx.load(exported_llama.model_file).graph
    vocabulary = [tensor.name for tensor in graph.initializer if len(LLAMA_TOKENS) in tensor.dims]
    assert len(vocabulary) == 1
    stored = (llama / "model.safetensors").stat().st_size
    assert sum(len(tensor.raw_data) for tensor in graph.initializer) < 1.1 * stored


def test_a_model_without_a_key_value_cache_is_refused(bert: Path) -> None:
    with pytest.raises(BadRecipe, match="one key and one value per layer"):
        decoder(load_model(bert, "text-embedding"))


def test_evaluation_measures_perplexity_and_decoding_steps(
    llama: Path, exported_llama: Artifact, tmp_path: Path
) -> None:
    quantize = Quantize.model_validate({"method": "dynamic"})
    smaller = apply_method("quantize", exported_llama, quantize, StageContext(tmp_path, "spec.pipeline[0]")).artifact
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": "s3://models/llama", "task": "text-generation"},
            "data": {"evaluation": {"source": "s3://data/text.parquet", "limit": 6}},
            "pipeline": [{"quantize": {"method": "dynamic"}}],
            "sla": {"quality": {"maxIncrease": "0.5", "max": "5000"}, "throughput": {"min": "1"}},
            "benchmark": {"sequenceLength": 64, "threads": 1, "timeLimit": "5s", "batchSize": 2},
            "output": {"destination": "s3://models/llama-int8"},
        }
    )
    rows = [f"verse {number}: the cat sat on the mat" for number in range(40)]
    samples, padding = windows(rows, llama, 64, 6)
    data = SampleSet(samples, "sha256:0", padding=padding)
    before, after = (MeasuredModel(model.model_file, model.size_bytes) for model in (exported_llama, smaller))
    report = measure(spec, before, after, data)
    logits = torch.stack([_logits(llama, sample["input_ids"]) for sample in samples])
    ids = torch.from_numpy(np.stack([sample["input_ids"] for sample in samples]))
    expected = float(Perplexity()(logits[:, :-1], ids[:, 1:]))
    assert report.baseline.quality["perplexity"] == pytest.approx(expected, rel=1e-3)
    assert report.quality_metric == "perplexity"
    increase = report.compressed.quality["perplexity"] / report.baseline.quality["perplexity"] - 1
    assert report.estimates["quality.increase"].value == pytest.approx(increase, rel=1e-3)
    names = [result.name for result in report.judgement(spec.sla).objectives]
    assert names == ["quality.increase", "quality.error", "throughput"]
    assert report.environment.query == "one step of decoding: one token of each text, after 32 tokens"
    assert report.compressed.throughput_per_second

    limits = Sla.model_validate({"quality": {"metric": "klDivergence", "max": "0.5"}})
    apart = measure(spec.model_copy(update={"sla": limits}), before, after, data)
    assert apart.quality_metric == "klDivergence"
    assert apart.baseline.quality["klDivergence"] == apart.baseline.quality["klDivergenceP99"] == 0.0
    assert 0.0 < apart.compressed.quality["klDivergence"] < apart.compressed.quality["klDivergenceP99"]
    assert "klDivergence" not in apart.quality_drops
    assert [result.name for result in apart.judgement(limits).objectives] == ["quality.error"]
    same = measure(spec.model_copy(update={"sla": limits}), before, before, data)
    assert same.estimates["quality.error"] == Estimate.exact(0.0)
    assert same.judgement(limits).verdict == "Pass"


def _logits(llama: Path, ids: NDArray[np.int64]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = AutoModelForCausalLM.from_pretrained(llama)(torch.from_numpy(ids)[None]).logits[0]
    return logits


def test_a_decoding_step_predicts_the_token_after_the_cache(llama: Path, predictor: Predictor) -> None:
    samples, padding = windows(["the cat sat on the mat and the dog ran"], llama, 32, 1)
    benchmark = Benchmark.model_validate({"sequenceLength": 32})
    step = decode_step(predictor, SampleSet(samples, "", padding=padding), [0, 0], benchmark)
    assert step["input_ids"].shape == (2, 1)
    assert step["attention_mask"].shape == (2, 17)
    assert step["past_key_values.1.value"].shape == (2, 2, 16, 8)
    expected = _logits(llama, samples[0]["input_ids"])[16].numpy()
    logits = predictor.run(step, ["logits"])[0]
    np.testing.assert_allclose(logits[1, 0], expected, atol=1e-3)


def test_batches_of_texts_fit_memory(predictor: Predictor) -> None:
    small, large = (Benchmark.model_validate({"sequenceLength": length}) for length in (128, 32768))
    assert offline_batch(predictor, small) == 8
    wide = [replace(info, shape=(None, 64, None, 128)) for info in predictor.inputs if len(info.shape) == 4]
    assert texts_at_once(wide, large, 8) == 1
