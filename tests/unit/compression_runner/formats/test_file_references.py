"""Settings of a model do not make a library read files of the machine, such as the pod's environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.errors import InvalidInput
from compression_runner.formats.source.file_references import require_own_files
from compression_runner.formats.source.inspection import inspect
from compression_runner.pipeline.fetching import fetch_source
from compression_runner.storage.directory import DirectoryStore
from compressionjob.spec import Model
from tests.support import tiny_models

SETTINGS = "tokenizer_config.json"


def model_with(folder: Path, settings: dict[str, Any], file: str = SETTINGS) -> Path:
    """Return the folder of a model with these settings."""
    folder.mkdir(exist_ok=True)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(settings))
    return folder


def test_a_tokenizer_would_read_the_file(tmp_path: Path) -> None:
    """If this fails, the libraries no longer open such files."""
    from transformers import AutoTokenizer

    secret = tmp_path / "secret"
    secret.write_text("AWS_SECRET_ACCESS_KEY=value")
    folder = model_with(tmp_path / "model", {"tokenizer_class": "BertTokenizer", "vocab": str(secret)})
    model_with(folder, {"model_type": "bert"}, "config.json")
    assert "AWS_SECRET_ACCESS_KEY=value" in AutoTokenizer.from_pretrained(folder, local_files_only=True).get_vocab()


@pytest.mark.parametrize(
    "settings",
    [
        {"vocab": "/proc/self/environ"},
        {"vocab": "/proc/1/task/99999/environ"},
        {"vocab": "//proc/self/../self/environ"},
        {"vocab": "{root}/secret"},
        {"vocab": "{root}/model/../secret"},
        {"vocab": "{root}/model/link"},
        {"init_inputs": ["{root}/secret", 1]},
        {"a": [{"b": ["{root}/secret"]}]},
    ],
)
@pytest.mark.parametrize("file", [SETTINGS, "preprocessor_config.json", "1_Pooling/config.json"])
def test_settings_with_files_of_the_machine_are_refused(tmp_path: Path, settings: dict[str, Any], file: str) -> None:
    (tmp_path / "secret").write_text("x")
    folder = model_with(tmp_path / "model", json.loads(json.dumps(settings).replace("{root}", str(tmp_path))), file)
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match=r"its setting [a-z_]+ names the file") as refused:
        require_own_files(folder)
    assert (refused.value.reason, refused.value.value) == ("PathRefused", file)


def test_a_relative_path_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret").write_text("x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="names the file other/secret"):
        require_own_files(model_with(tmp_path / "model", {"vocab": "other/secret"}))


def test_usual_settings_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    folder = model_with(
        tmp_path / "model",
        {
            "name_or_path": str(tmp_path / "old.json"),
            "tokenizer_file": str(tmp_path / "old.json"),
            "vocab_file": "/home/author/vocab.txt",
            "own": str(tmp_path / "model" / SETTINGS),
            "id2label": {"0": "cat/dog", "1": "/", "2": "a" * 5000 + "/", "3": "x/" + "y" * 300},
            "unk_token": "</s>",
            "chat_template": "{% if a/b %}\n/proc/self/environ",
        },
    )
    model_with(folder, {"model": {"vocab": {"/proc/self/environ": 0}, "type": "/proc/self/environ"}}, "tokenizer.json")
    (folder / "broken.json").write_text("{")
    require_own_files(folder)


def test_a_source_with_such_settings_is_not_fetched(tmp_path: Path) -> None:
    tiny_models.bert(tmp_path / "model")
    model_with(tmp_path / "model", {"vocab": "/proc/self/environ"})
    store = DirectoryStore("file:///model", tmp_path / "model", "spec.model.source")
    source = inspect(store, Model.model_validate({"source": "file:///model", "task": "text-embedding"}))
    with pytest.raises(InvalidInput, match="names the file /proc/self/environ"):
        fetch_source(store, source, tmp_path / "work")
