"""ROUGE and word error rate against torchmetrics over all texts, and their intervals."""

import numpy as np
import pytest
from torchmetrics.text import ROUGEScore, WordErrorRate

from compression_runner.evaluation.quality.writing import word_errors, writing_quality

REFERENCES = ["the cat sat on the mat", "a dog ran", "birds sing in the old tree", "the house is red"] * 10
BEFORE = ["the cat sat on a mat", "a dog ran", "birds sing in the tree", "the house was red"] * 10
AFTER = ["the cat sat on mat", "a dog ran fast", "birds in the tree", "the house was red"] * 10


def test_word_error_rate_is_torchmetrics() -> None:
    score = writing_quality(BEFORE, AFTER, REFERENCES, "automatic-speech-recognition", 0.95).scores["wer"]
    for side, texts in ((score.baseline, BEFORE), (score.compressed, AFTER)):
        metric = WordErrorRate()
        assert side.value == pytest.approx(float(metric(texts, REFERENCES)))
        assert side.low <= side.value <= side.high
    assert score.drop.value == pytest.approx(score.compressed.value / score.baseline.value - 1)
    assert score.drop.low < score.drop.value < score.drop.high


def test_rouge_is_torchmetrics() -> None:
    quality = writing_quality(BEFORE, AFTER, REFERENCES, "summarization", 0.95)
    metric = ROUGEScore(rouge_keys=("rouge1", "rouge2", "rougeL"))
    for name in ("rouge1", "rouge2", "rougeL"):
        score = quality.scores[name]
        for side, texts in ((score.baseline, BEFORE), (score.compressed, AFTER)):
            expected = float(metric(texts, REFERENCES)[f"{name}_fmeasure"])
            metric.reset()
            assert side.value == pytest.approx(expected, abs=1e-6)
        assert score.drop.value == pytest.approx(score.baseline.value - score.compressed.value)
        assert score.drop.low <= score.drop.value <= score.drop.high


def test_agreement_is_the_share_of_equal_texts() -> None:
    quality = writing_quality(BEFORE, AFTER, None, "summarization", 0.95)
    assert set(quality.scores) == {"agreement"}
    assert quality.scores["agreement"].compressed.value == 0.25


def test_no_change_in_the_samples_still_has_an_interval() -> None:
    quality = writing_quality(BEFORE, BEFORE, REFERENCES, "summarization", 0.95)
    assert quality.scores["rougeL"].drop.value == 0.0
    assert 0.02 < quality.scores["rougeL"].drop.high < 0.2, "one more of 40 may be lost"


def test_words_by_hand() -> None:
    errors = word_errors(["a b c", "", "x y", "a"], ["a x c d", "a b", "", "a"])
    assert np.array_equal(errors, [2, 2, 2, 0])
