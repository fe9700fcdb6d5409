"""The property that every text baseline has: on the same rows it answers what the model's own library answers."""

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
"""Of the largest answer. The largest difference of each family is recorded as a property of its test."""
EXPORTED = {"gpt2"} if not os.environ.get("EXPORT_EVERY_FAMILY") else {*FAMILIES}
"""Families whose export is measured; every export is compared with its module, by which the others are judged."""
PADDING_COUNTS = {"convbert", "fnet", "nystromformer"}
"""Families whose answers depend on how far a text is filled up, in their library too: judged one text at a time."""
EMBEDDED = ("albert", "bert", "distilbert", "electra", "gpt2", "llama", "modernbert", "mpnet", "qwen3", "roberta", "t5")


def differences(
    folder: Path, task: Task, own: Callable[[Path, list[str], int], Answers], into: Path | None
) -> dict[int, float]:
    """Return for each batch size how far baseline and library are apart at most, over the largest answer."""
    rows = sentences(ROWS)
    found = {}
    with baseline(folder, task, into=into) as predictor:
        data = samples(folder, task, rows)
        for batch in (1,) if folder.name in PADDING_COUNTS else (1, 8):
            expected = own(folder, rows, batch)
            apart = np.abs(measured(predictor, data, task, batch) - expected).max()
            found[batch] = float(apart / np.abs(expected).max())
    return found


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_classifier_answers_as_its_pipeline(
    tmp_path: Path, family: str, record_property: Callable[[str, object], None]
) -> None:
    folder = text_model(tmp_path / family, family, "text-classification")
    found = differences(folder, "text-classification", classified, tmp_path / "out" if family in EXPORTED else None)
    record_property("largest difference", max(found.values()))
    assert max(found.values()) < TOLERANCE, found


@pytest.mark.parametrize("family", EMBEDDED)
def test_an_encoder_embeds_as_sentence_transformers(
    tmp_path: Path, family: str, record_property: Callable[[str, object], None]
) -> None:
    folder = text_model(tmp_path / family, family, "text-embedding")
    found = differences(folder, "text-embedding", embedded, None)
    record_property("largest difference", max(found.values()))
    assert max(found.values()) < TOLERANCE, found


def wrong_pad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression_runner.dataset.texts.pad_token", lambda *_arguments: 0)


def dropped_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_module, "TEXT_INPUTS", ("input_ids",))


@pytest.mark.parametrize(("family", "fault"), [("gpt2", wrong_pad), ("bert", dropped_mask)])
def test_a_fault_of_the_runner_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, fault: Callable[[pytest.MonkeyPatch], Any]
) -> None:
    folder = text_model(tmp_path / family, family, "text-classification")
    fault(monkeypatch)
    assert differences(folder, "text-classification", classified, None)[8] > 100 * TOLERANCE
