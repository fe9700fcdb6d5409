"""Folders of images and recordings as data: files, order, fetching and refusals."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from compression_runner.dataset import SampleSet, load_samples
from compression_runner.dataset.files import find_data
from compression_runner.dataset.folders import listing
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.fetching import fetch_data
from compressionjob.spec import EvaluationData, Task
from tests.support.plans import open_store

FIELD = "spec.data.training.source"


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), shade, dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def wav() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.linspace(-0.5, 0.5, 100), 8000, format="WAV")
    return buffer.getvalue()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    names = ("cat/2.png", "cat/10.png", "cat/1.png", "dog/1.png", "emu/1.png", "emu/2.png")
    return fill(tmp_path / "animals", {name: png(shade) for shade, name in enumerate(names)} | {"README.md": b"x"})


def load(folder: Path, task: Task = "image-classification", **spec: Any) -> SampleSet:
    data = EvaluationData.model_validate({"source": f"file://{folder}", **spec})
    return load_samples(data, folder, task=task, model_dir=folder, sequence_length=1)


def shades(data: SampleSet) -> list[int]:
    return [round(float(np.asarray(sample["pixel_values"]).max()) * 255) for sample in data.samples]


def test_classes_alternate_and_are_numbered_by_name(animals: Path) -> None:
    data = load(animals)
    assert shades(data) == [2, 3, 4, 0, 5, 1], "1.png before 2.png before 10.png"
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2, 0, 2, 0]


def test_fetching_for_a_limit_gets_the_files_that_are_read(animals: Path, tmp_path: Path) -> None:
    """Two rows come from two classes; the third class keeps its number although its files are not fetched."""
    files = find_data(open_store(animals), "image-classification", FIELD)
    place = fetch_data(open_store(animals), files, range(2), tmp_path / "here")
    assert sorted(file.name for file in place.rglob("*.png")) == ["1.png", "1.png"]
    data = load(place, limit=2)
    assert shades(data) == [2, 3]
    assert shades(data) == shades(load(animals, limit=2))
    assert sorted(each.name for each in place.iterdir()) == ["cat", "dog", "emu"]
    again = fetch_data(open_store(animals), files, range(1), tmp_path / "here")
    assert len(list(again.rglob("*.png"))) == 1, "the files of the previous fetch are gone"


def test_the_identity_of_a_folder_changes_with_its_files(animals: Path) -> None:
    before = find_data(open_store(animals), "image-classification", FIELD)
    assert before.size == sum(len(file.read_bytes()) for file in animals.rglob("*.png"))
    fill(animals, {"dog/2.png": png(9)})
    assert find_data(open_store(animals), "image-classification", FIELD).identity != before.identity


def test_a_folder_of_recordings(tmp_path: Path) -> None:
    folder = fill(tmp_path / "sounds", {"en/a.wav": wav(), "fr/a.wav": wav()})
    data = load(folder, "audio-classification")
    assert len(data) == 2
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1]


def test_files_without_folders_have_no_labels(tmp_path: Path) -> None:
    folder = fill(tmp_path / "images", {"a.png": png(1), "b.png": png(2), "README.md": b"about"})
    assert load(folder).labels is None
    with pytest.raises(InvalidInput, match=r"columns\.label.*put every file into the folder of its class"):
        load_samples(
            EvaluationData(source=f"file://{folder}"),
            folder,
            task="image-classification",
            model_dir=folder,
            sequence_length=1,
            metric="accuracy",
        )


def test_hidden_files_are_no_samples(animals: Path) -> None:
    before = shades(load(animals))
    fill(
        animals, {".DS_Store": b"x", "cat/.DS_Store": b"x", "cat/._1.png": b"x", "dog/Thumbs.db": b"x", ".x/1.png": b""}
    )
    data = load(animals)
    assert shades(data) == before
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2, 0, 2, 0]
    assert len(find_data(open_store(animals), "image-classification", FIELD).entries) == len(before)


def test_a_damaged_image_is_reported_with_its_file(animals: Path) -> None:
    fill(animals, {"dog/1.png": b"no image"})
    with pytest.raises(InvalidInput, match=r"columns\.image.*row 1 \(dog/1\.png\)"):
        load(animals)


MIXTURES: dict[str, tuple[Sequence[str], str]] = {
    "two kinds": (["a/1.png", "b/1.wav"], r"mixes images and recordings \(a/1\.png and b/1\.wav\)"),
    "two depths": (["a/1.png", "2.png"], r"files in class folders \(a/1\.png\) and files outside \(2\.png\)"),
    "too deep": (["train/a/1.png", "test/a/1.png"], r"more than one folder deep.*that folder"),
    "foreign file": (["a/1.png", "a/notes.txt"], r"a/notes\.txt is among the image files"),
    "foreign file in a flat folder": (["1.png", "notes.txt"], r"notes\.txt is among the image files"),
}


@pytest.mark.parametrize(("names", "message"), MIXTURES.values(), ids=MIXTURES)
def test_mixtures_are_refused(names: Sequence[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        listing(names, "data")


def test_a_folder_with_a_table_too_is_refused(animals: Path) -> None:
    fill(animals, {"labels.csv": b"a,b\n1,2\n"})
    with pytest.raises(InvalidInput, match=rf"{FIELD}.*both a table \(labels\.csv\) and image files"):
        find_data(open_store(animals), "image-classification", FIELD)


@pytest.mark.parametrize("task", ["audio-classification", "text-embedding", "onnx"])
def test_a_folder_of_images_is_refused_for_other_tasks(task: Task, animals: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"{FIELD}.*image files, which task {task} does not take"):
        find_data(open_store(animals), task, FIELD)


def test_mixtures_are_refused_by_preflight_with_the_role(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", {"a/1.png": png(1), "b/1.wav": wav()})
    with pytest.raises(InvalidInput, match=rf"{FIELD}.*mixes images and recordings"):
        find_data(open_store(folder), "image-classification", FIELD)
