"""Several labels for a sample: every metric is scikit-learn's, and its drop lies in its interval."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from compression_runner.dataset import SampleSet
from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.flips import flips
from compression_runner.evaluation.quality.by_task import compare
from compression_runner.evaluation.quality.multi_label import multi_label_quality
from compression_runner.evaluation.request import quality_metric
from compression_runner.inference.similarity import Floats
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS

LOGITS = MultiLabel(logits=True)
pytestmark = pytest.mark.usefixtures("few_resamples")


def _answers(count: int = 200, labels: int = 5) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return labels, and the logits of two models of which the second is worse; the first label is nearly always on."""
    generator = np.random.default_rng(0)
    right = (generator.random((count, labels)) < np.linspace(0.95, 0.1, labels)).astype(np.int64)
    sides = [(right - 0.5 + generator.normal(scale=spread, size=right.shape)).astype(np.float32) for spread in (0.3, 1)]
    return right, sides[0], sides[1]


def test_metrics_are_scikit_learns() -> None:
    right, before, after = _answers()
    scores = multi_label_quality(before, after, right, LOGITS, 0.95).scores
    for side, place in ((before, "baseline"), (after, "compressed")):
        answers = (side > 0).astype(np.int64)
        expected = {
            "accuracy": 1 - metrics.hamming_loss(right, answers),
            "subsetAccuracy": metrics.accuracy_score(right, answers),
            "f1Micro": metrics.f1_score(right, answers, average="micro"),
            "f1Macro": metrics.f1_score(right, answers, average="macro"),
            "f1": metrics.f1_score(right, answers, average="macro"),
            "precision": metrics.precision_score(right, answers, average="macro"),
            "recall": metrics.recall_score(right, answers, average="macro"),
        }
        values = {name: getattr(scores[name], place).value for name in expected}  # type: ignore[index]
        assert values == pytest.approx(expected)
    for score in scores.values():
        assert score.drop.value == pytest.approx(score.baseline.value - score.compressed.value)
        assert score.drop.low < score.drop.value < score.drop.high


def test_a_dominant_label_hides_no_errors() -> None:
    generator = np.random.default_rng(1)
    before = generator.normal(size=(100, 6)).astype(np.float32)
    after = generator.normal(size=(100, 6)).astype(np.float32)
    before[:, 0] = after[:, 0] = 12.0
    scores = multi_label_quality(before, after, None, LOGITS, 0.95).scores
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert scores["agreement"].compressed.value == pytest.approx(np.mean((before > 0) == (after > 0)))
    assert scores["agreement"].compressed.value < 0.7
    assert scores["subsetAgreement"].compressed.value < 0.2
    assert set(scores) == {"agreement", "subsetAgreement"}


def test_a_row_that_is_not_finite_is_wrong_for_each_label() -> None:
    right, before, _ = _answers(40)
    broken = before.copy()
    broken[:10, 2] = np.nan
    quality = multi_label_quality(before, broken, right, LOGITS, 0.95)
    assert quality.non_finite_samples == 10
    assert quality.scores["agreement"].compressed.value == pytest.approx(0.75)
    assert quality.scores["subsetAgreement"].compressed.value == pytest.approx(0.75)
    kept = ((before > 0) == right)[10:].sum() / right.size
    assert quality.scores["accuracy"].compressed.value == pytest.approx(kept)


def test_a_wrong_number_of_labels_is_refused() -> None:
    right, before, after = _answers(10)
    with pytest.raises(InvalidInput, match=r"columns\.label.*4 values.*the model has 5 labels"):
        multi_label_quality(before, after, right[:, :4], LOGITS, 0.95)


def test_a_multi_label_classifier_is_compared_label_by_label() -> None:
    right, before, after = _answers(40)
    manifest = {
        "model": {"source": "file:///m", "task": "text-classification"},
        "data": {"evaluation": {"source": "file:///d.parquet"}},
        "pipeline": [{"quantize": {}}],
        "output": {"destination": "file:///out"},
    }
    spec = CompressionJobSpec.model_validate(manifest)
    samples = [{"input_ids": np.zeros(2, np.int64)}] * 40
    several = SampleSet(samples=samples, digest="", labels=right, multi_label=LOGITS)
    quality = compare(spec, before, after, several, 0.95)
    assert set(quality.scores) == set(TASKS["text-classification"].metrics)
    assert quality_metric(spec, quality.scores, several) == "accuracy"


def test_an_answer_flips_if_one_label_flips() -> None:
    before = np.array([[1, -1], [1, 1], [-1, -1]], dtype=np.float32)
    after = np.array([[1, -2], [1, -1], [np.nan, -1]], dtype=np.float32)
    right = np.array([[1, 0], [1, 1], [0, 1]])
    report = flips(before, after, right, 0.95, same=False, multi_label=LOGITS)
    assert (report.flipped, report.broken, report.mended) == (2, 1, 0)
    assert [(one.sample, one.label, one.baseline, one.compressed) for one in report.examples] == [
        (1, [0, 1], [0, 1], [0]),
        (2, [1], [], None),
    ]
