"""Losses of next tokens, and perplexity with its paired interval."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torchmetrics.text import Perplexity

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.next_tokens import next_tokens
from compression_runner.evaluation.quality.perplexity import LOSS_OF_NOTHING, language_quality
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import Predictor

VOCABULARY, LENGTH = 11, 300


def bigrams(place: Path, table: NDArray[np.float32], output: str = "logits") -> Predictor:
    """Return a language model whose logits for the next token are a row of `table`, shape (vocabulary, vocabulary)."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], [output])],
        "bigrams",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", "sequence", VOCABULARY])],
        [numpy_helper.from_array(table, "table")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), place)
    return OnnxPredictor(place, threads=1)


def windows(count: int, length: int = LENGTH) -> SampleSet:
    drawn = np.random.default_rng(1).integers(0, VOCABULARY, size=(count, length))
    samples = [{"input_ids": row, "attention_mask": np.ones_like(row)} for row in drawn]
    return SampleSet(samples, "sha256:0", padding={"input_ids": 0, "attention_mask": 0})


def table(seed: int = 0, scale: float = 2.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(scale=scale, size=(VOCABULARY, VOCABULARY)).astype(np.float32)


def rows_of(losses: NDArray[np.generic], likely: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return results as of `next_tokens`, without divergences."""
    return np.stack([losses, likely, np.full_like(losses, np.nan)], axis=1).astype(np.float32)


def test_perplexity_equals_torchmetrics(tmp_path: Path) -> None:
    data, model = windows(4), bigrams(tmp_path / "model.onnx", table())
    rows = next_tokens(model, data, batch_size=3)
    ids = torch.from_numpy(np.stack([sample["input_ids"] for sample in data.samples]))
    logits = torch.from_numpy(table())[ids]
    expected = Perplexity()(logits[:, :-1], ids[:, 1:])
    quality = language_quality(rows, rows, 0.95)
    assert quality.scores["perplexity"].baseline.value == pytest.approx(float(expected), rel=1e-5)
    assert (rows[:, 1] == logits[:, :-1].argmax(-1).numpy()).all()
    assert quality.scores["perplexity"].drop.value == 0.0
    assert quality.scores["agreement"].compressed.value == 1.0


def test_padding_does_not_count(tmp_path: Path) -> None:
    model = bigrams(tmp_path / "model.onnx", table())
    whole = windows(2, 40)
    short = [{name: array[:25] for name, array in whole.samples[1].items()}]
    mixed = SampleSet([whole.samples[0], *short], "sha256:0", padding={"input_ids": 0, "attention_mask": 0})
    rows = next_tokens(model, mixed, batch_size=1)
    alone = [next_tokens(model, SampleSet([sample], "", padding=mixed.padding), 1) for sample in mixed.samples]
    expected = np.exp(np.concatenate([part[:, 0].ravel() for part in alone]).mean())
    assert language_quality(rows, rows, 0.9).scores["perplexity"].baseline.value == pytest.approx(expected, rel=1e-6)


def test_the_increase_is_paired() -> None:
    """If windows of very different difficulty all lose the same, the increase is certain."""
    random = np.random.default_rng(3)
    losses = (random.uniform(0.5, 6.0, size=(12, 1)) + np.zeros((12, 50))).astype(np.float32)
    likely = np.zeros_like(losses)
    baseline, compressed = rows_of(losses, likely), rows_of(losses + 0.1, likely)
    score = language_quality(baseline, compressed, 0.99).scores["perplexity"]
    assert score.drop.value == pytest.approx(np.expm1(0.1), rel=1e-4)
    assert score.drop.high - score.drop.low < 1e-4
    assert score.baseline.high > 2 * score.baseline.low


def test_the_interval_covers_other_windows() -> None:
    """Of 60 draws of 15 windows, about 95 in 100 intervals hold the increase over all windows."""
    random = np.random.default_rng(5)
    truth, held = np.expm1(0.05), 0
    for _ in range(60):
        base = random.gamma(2.0, 1.0, size=(15, 40))
        more = base + 0.05 + random.normal(scale=0.05, size=(15, 1))
        rows = [rows_of(side, np.zeros_like(side)) for side in (base, more)]
        drop = language_quality(rows[0], rows[1], 0.95).scores["perplexity"].drop
        held += drop.low <= truth <= drop.high
    assert held >= 53


def test_agreement_is_counted_over_places(tmp_path: Path) -> None:
    data = windows(3)
    one, other = (bigrams(tmp_path / f"{seed}.onnx", table(seed)) for seed in (0, 1))
    rows = [next_tokens(model, data, 1) for model in (one, other)]
    score = language_quality(rows[0], rows[1], 0.95).scores["agreement"]
    assert score.compressed.value == pytest.approx((rows[0][:, 1] == rows[1][:, 1]).mean())
    assert score.compressed.low <= score.compressed.value <= score.compressed.high


def test_a_model_with_nan_logits_loses_and_is_counted(tmp_path: Path) -> None:
    data, broken = windows(3), table()
    broken[4] = np.nan
    rows = [next_tokens(bigrams(tmp_path / f"{i}.onnx", t), data, 1) for i, t in enumerate((table(), broken))]
    quality = language_quality(rows[0], rows[1], 0.95)
    assert quality.non_finite_samples == 3
    assert 1 < quality.scores["perplexity"].drop.value < np.exp(LOSS_OF_NOTHING)
    assert quality.scores["agreement"].compressed.value < 1
    with pytest.raises(InvalidInput, match="baseline itself answers with NaN"):
        language_quality(rows[1], rows[0], 0.95)


def test_a_model_without_logits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no output logits"):
        next_tokens(bigrams(tmp_path / "model.onnx", table(), output="scores"), windows(1), 1)


def test_divergence_from_a_reference_is_measured_at_each_place(tmp_path: Path) -> None:
    short = {name: array[:25] for name, array in windows(3, 40).samples[1].items()}
    data = SampleSet([*windows(2, 40).samples, short], "sha256:0", padding={"input_ids": 0, "attention_mask": 0})
    tables = [table(seed) for seed in (0, 1)]
    reference, model = (bigrams(tmp_path / f"{index}.onnx", table) for index, table in enumerate(tables))
    baseline, rows = next_tokens(reference, data, 1), next_tokens(model, data, 1, reference=reference)
    expected, other = (torch.log_softmax(torch.from_numpy(side), dim=1) for side in tables)
    by_token = torch.nn.functional.kl_div(other, expected, reduction="none", log_target=True).sum(dim=1).numpy()
    for row, sample in zip(rows, data.samples, strict=True):
        ids = sample["input_ids"]
        assert row[2, : len(ids) - 1] == pytest.approx(by_token[ids[:-1]], rel=1e-4)
        assert not row[2, len(ids) - 1 :].any(), "padding"
    scores = language_quality(baseline, rows, 0.95).scores
    counted = np.concatenate([by_token[sample["input_ids"][:-1]] for sample in data.samples])
    assert scores["klDivergence"].compressed.value == pytest.approx(counted.mean(), rel=1e-4)
    assert "klDivergence" not in language_quality(baseline, baseline, 0.95).scores
