"""Fetch, decode and split the real data of samples/, and check the baselines' accuracy in samples/README.md."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForAudioClassification,
    AutoModelForImageClassification,
    AutoModelForVideoClassification,
)

from compression_runner.dataset import SampleSet, load_samples
from compressionjob.data import EvaluationData
from compressionjob.tasks import Task
from samples import bible, mails, prompts
from samples.fashion_cnn import fashion_cnn
from samples.fashion_robust import fashion_robust
from samples.motion import motion

pytestmark = pytest.mark.real_data


def test_the_bible_has_all_chapters() -> None:
    chapters = list(bible.chapters())
    assert len(chapters) == 1189
    assert len({book for book, _ in chapters}) == 66
    assert chapters[0][1].startswith("In the beginning God created the heaven and the earth.\nAnd the earth was")
    assert chapters[-1][1].endswith("The grace of our Lord Jesus Christ be with you all. Amen.")


def test_mail_splits_are_disjoint() -> None:
    train, test = mails.split()
    assert (len(train), len(test)) == (4346, 1449)
    assert {text for text, _ in train}.isdisjoint(text for text, _ in test)
    assert 0.25 < np.mean([label for _, label in test]) < 0.35
    assert all(len(text) <= mails.CHARACTERS for text, _ in train)


def test_prompt_splits_are_disjoint_in_all_languages() -> None:
    train, test = prompts.split()
    assert {row.name for row in train}.isdisjoint(row.name for row in test)
    assert {row.label for row in test} == set(range(len(prompts.LANGUAGES)))


def test_the_fashion_cnn_has_the_documented_accuracy(tmp_path: Path) -> None:
    fashion_cnn(tmp_path)
    data = _samples(tmp_path, "test.parquet", "image-classification", 2000)
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    assert _accuracy(model, data, "pixel_values") >= 0.92


def test_the_robust_resnet_has_the_documented_accuracy(tmp_path: Path) -> None:
    fashion_robust(tmp_path)
    data = _samples(tmp_path, "images.parquet", "image-classification", 2000)
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    assert _accuracy(model, data, "pixel_values") == pytest.approx(0.82, abs=0.01)


def test_the_audio_classifier_has_the_documented_accuracy(tmp_path: Path) -> None:
    prompts.prompts(tmp_path)
    data = _samples(tmp_path, "test.parquet", "audio-classification", 300)
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "model")
    assert _accuracy(model, data, "input_values") >= 0.85


def test_the_video_classifier_has_the_documented_accuracy(tmp_path: Path) -> None:
    motion(tmp_path)
    data = _samples(tmp_path, "test.npz", "video-classification", 300)
    model = AutoModelForVideoClassification.from_pretrained(tmp_path / "model")
    assert _accuracy(model, data, "pixel_values") >= 0.95


def _samples(folder: Path, name: str, task: Task, limit: int) -> SampleSet:
    data = EvaluationData.model_validate({"source": f"file:///{name}", "limit": limit})
    return load_samples(data, folder / name, task=task, model_dir=folder / "model", sequence_length=128)


def _accuracy(model: torch.nn.Module, data: SampleSet, name: str) -> float:
    inputs = torch.from_numpy(np.stack([sample[name] for sample in data.samples]))
    with torch.no_grad():
        predicted = torch.cat([model.eval()(**{name: part}).logits.argmax(1) for part in inputs.split(100)])
    assert data.labels is not None
    return float((predicted.numpy() == data.labels).mean())
