"""Data without the inputs for trust measurements is refused before any stage runs."""

from typing import Any

import numpy as np
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.quality.comparison import embedding_quality
from compression_runner.evaluation.request import looks_at_samples, require_data
from compression_runner.evaluation.statistics.alpha_spending import look_of_data
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.sla_objectives import QUALITY_DROP
from compressionjob.spec import CompressionJobSpec
from compressionjob.verdict import judge

TOKENS = SampleSet(samples=[{"input_ids": np.zeros(3, np.int64), "attention_mask": np.ones(3, np.int64)}], digest="")
TWO = SampleSet(samples=[{"x": np.zeros(3, np.float32), "y": np.zeros(2, np.float32)}], digest="")
ROBUST = {"robustness": {"noise": {"level": "0.1", "min": "0.5"}}}
TYPOS = {"robustness": {"corruption": {"min": "0.5"}}}
EXPLAINED = {"attributions": {"minAgreement": "0.9"}}


def spec(task: str, sla: dict[str, Any]) -> CompressionJobSpec:
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": "file:///m", "task": task},
            "data": {"evaluation": {"source": "file:///d.npz"}},
            "pipeline": [{"quantize": {}}],
            "sla": sla,
            "output": {"destination": "file:///out"},
        }
    )


@pytest.mark.parametrize(
    ("task", "sla", "data", "says"),
    [
        ("text-classification", TYPOS, TOKENS, r"spec\.sla\.robustness.*the data holds tokens.*give a table"),
        ("text-classification", EXPLAINED, TOKENS, r"spec\.sla\.attributions.*the data holds tokens"),
        ("tabular-classification", ROBUST, TWO, r"spec\.sla\.robustness: 'x, y'.*x \(float32\), y \(float32\)"),
        ("tabular-regression", EXPLAINED, TWO, r"spec\.sla\.attributions: 'x, y'"),
    ],
)
def test_unsuitable_requests_are_refused(task: str, sla: dict[str, Any], data: SampleSet, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        require_data(spec(task, sla), data)


SEVERAL = SampleSet(samples=TOKENS.samples, digest="", multi_label=MultiLabel(logits=True))


@pytest.mark.parametrize(
    ("sla", "data", "says"),
    [
        ({"quality": {"metric": "f1Micro", "min": "0.8"}}, TOKENS, r"quality\.metric: 'f1Micro': the model gives each"),
        ({"quality": {"metric": "subsetAgreement", "min": "0.8"}}, TOKENS, r"use accuracy, f1 or agreement"),
        (TYPOS, SEVERAL, r"spec\.sla\.robustness: 'text-classification': .*gives several labels.*remove it"),
    ],
)
def test_a_multi_label_metric_needs_a_multi_label_model(sla: dict[str, Any], data: SampleSet, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        require_data(spec("text-classification", sla), data)


def test_multi_label_models_accept_their_metrics() -> None:
    for metric in ("accuracy", "agreement", "f1Micro", "f1Macro", "subsetAccuracy", "subsetAgreement"):
        require_data(spec("text-classification", {"quality": {"metric": metric, "min": "0.8"}}), SEVERAL)


def test_without_trust_limits_the_data_is_not_checked() -> None:
    require_data(spec("text-classification", {"flips": {"max": "0.1"}}), TOKENS)
    require_data(spec("tabular-classification", {}), TWO)


def _looks(task: str, quality: dict[str, str], samples: int = 1000, *, has_labels: bool = False) -> tuple[int, ...]:
    return looks_at_samples(spec(task, {"quality": quality}), samples, has_labels=has_labels, confidence=0.95)


def test_outputs_that_may_vary_in_size_have_one_look() -> None:
    requested = spec("onnx", {"quality": {"maxDrop": "0.5"}})
    assert len(looks_at_samples(requested, 1000, has_labels=False, confidence=0.95)) > 1
    assert looks_at_samples(requested, 1000, has_labels=False, confidence=0.95, may_vary=True) == (1000,)


def test_a_share_of_right_answers_has_an_early_look() -> None:
    assert _looks("image-classification", {"maxDrop": "0.001"}, has_labels=True)[0] == 125
    assert _looks("summarization", {"maxDrop": "0.001"}, has_labels=True)[0] == 125


def test_the_first_look_at_a_bounded_score_has_enough_samples() -> None:
    first = _looks("text-embedding", {"maxDrop": "0.02"})[0]
    missed = (1.0 - 0.02) ** first
    assert missed <= (1.0 - look_of_data(0.95, 0, 4)) / 2 < missed / (1.0 - 0.02)
    assert _looks("text-embedding", {"min": "0.98"})[0] == first
    assert _looks("text-generation", {"metric": "agreement", "min": "0.98"})[0] == first
    assert _looks("text-embedding", {"maxDrop": "0.5"})[0] == 125
    assert _looks("text-embedding", {"maxDrop": "0.004"}) == (1000,), "more than there are"
    assert _looks("text-embedding", {"maxDrop": "0"}) == (1000,)


@pytest.mark.parametrize(
    ("task", "quality"),
    [
        ("text-classification", {"metric": "f1", "maxDrop": "0.5"}),
        ("tabular-regression", {"metric": "correlation", "maxDrop": "0.5"}),
        ("tabular-regression", {"metric": "mae", "maxIncrease": "0.5"}),
        ("text-generation", {"metric": "perplexity", "maxIncrease": "0.5"}),
        ("automatic-speech-recognition", {"metric": "wer", "maxIncrease": "0.5"}),
    ],
)
def test_a_score_that_needs_all_samples_has_one_look(task: str, quality: dict[str, str]) -> None:
    assert _looks(task, quality, has_labels=True) == (1000,)


def test_an_early_look_does_not_miss_rare_errors() -> None:
    """Of a hundred samples none is lost in every third run, though more are than the limit allows."""
    job = spec("text-embedding", {"quality": {"maxDrop": "0.01"}})
    sizes = looks_at_samples(job, 800, has_labels=False, confidence=0.95)
    assert len(sizes) == 4
    at_look = look_of_data(0.95, 0, len(sizes))
    drops = [_drop(*_embeddings(seed, sizes[0]), at_look) for seed in range(15)]
    verdicts = [judge(job.sla, {QUALITY_DROP: drop}).verdict for drop in drops]
    assert "Pass" not in verdicts


def _embeddings(seed: int, count: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    old = generator.normal(size=(count, 16)).astype(np.float32)
    lost = generator.random((count, 1)) < 0.012
    return old, np.where(lost, generator.normal(size=(count, 16)), old).astype(np.float32)


def _drop(old: Floats, new: Floats, confidence: float) -> Estimate:
    return embedding_quality(old, new, confidence).scores["cosine"].drop
