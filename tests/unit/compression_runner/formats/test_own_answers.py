"""Text baselines give the same outputs as the libraries of their models."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compression_runner.formats import task_module
from compressionjob.tasks import Task
from tests.support.own_answers import Answers, baseline, classified, embedded, measured, samples
from tests.support.text_families import FAMILIES, text_model
from tests.support.tiny_models import sentences

ROWS = 12
TOLERANCE = 1e-4
"""Relative to the largest output. Each test records the largest difference of its family as a property."""
EXPORTED = {"gpt2"} if not os.environ.get("EXPORT_EVERY_FAMILY") else {*FAMILIES}
"""Families whose export is measured. For the others the module is measured, with which each export is compared."""
PADDING_COUNTS = {"convbert", "fnet", "nystromformer"}
"""Families whose outputs depend on the padding, in their library too: compared one text at a time."""
EMBEDDED = ("albert", "bert", "distilbert", "electra", "gpt2", "llama", "modernbert", "mpnet", "qwen3", "roberta", "t5")


def differences(
    folder: Path, task: Task, own: Callable[[Path, list[str], int], Answers], into: Path | None
) -> dict[int, float]:
    """Return batch size -> largest difference of baseline and library, relative to the largest output."""
    rows = sentences(ROWS)
    result = {}
    with baseline(folder, task, into=into) as predictor:
        data = samples(folder, task, rows)
        for batch in (1,) if folder.name in PADDING_COUNTS else (1, 8):
            expected = own(folder, rows, batch)
            difference = np.abs(measured(predictor, data, task, batch) - expected).max()
            result[batch] = float(difference / np.abs(expected).max())
    return result


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_classifiers_equal_the_pipeline_of_transformers(
    tmp_path: Path, family: str, record_property: Callable[[str, object], None]
) -> None:
    folder = text_model(tmp_path / family, family, "text-classification")
    result = differences(folder, "text-classification", classified, tmp_path / "out" if family in EXPORTED else None)
    record_property("largest difference", max(result.values()))
    assert max(result.values()) < TOLERANCE, result


@pytest.mark.parametrize("family", EMBEDDED)
def test_encoders_equal_sentence_transformers(
    tmp_path: Path, family: str, record_property: Callable[[str, object], None]
) -> None:
    folder = text_model(tmp_path / family, family, "text-embedding")
    result = differences(folder, "text-embedding", embedded, None)
    record_property("largest difference", max(result.values()))
    assert max(result.values()) < TOLERANCE, result


def wrong_pad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression_runner.dataset.texts.pad_token", lambda *_arguments: 0)


def dropped_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_module, "TEXT_INPUTS", ("input_ids",))


@pytest.mark.parametrize(("family", "fault"), [("gpt2", wrong_pad), ("bert", dropped_mask)])
def test_the_comparison_detects_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, fault: Callable[[pytest.MonkeyPatch], Any]
) -> None:
    folder = text_model(tmp_path / family, family, "text-classification")
    fault(monkeypatch)
    assert differences(folder, "text-classification", classified, None)[8] > 100 * TOLERANCE
