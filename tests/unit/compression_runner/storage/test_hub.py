"""Models and data from the Hugging Face Hub, read by the real client from a server that speaks its protocol."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from compression_runner.errors import InvalidInput, StorageUnavailable
from compression_runner.formats.source.inspection import inspect
from compression_runner.storage import Readable, Stores, retries
from compressionjob.locations import Hub as HubSettings
from compressionjob.locations import parse_location
from compressionjob.pod_interface import Role
from compressionjob.spec import Model
from tests.support import tiny_models
from tests.support.hub_server import LARGE, Hub, serving

WEIGHTS = bytes(range(256)) * 64
FIELD = "spec.model.source"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "ATTEMPTS", 3)
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.0)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    model = tmp_path / "hub" / "acme" / "model"
    (model / "onnx").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / ".gitattributes").write_text("*.bin filter=lfs")
    (model / "onnx" / "model.onnx").write_bytes(WEIGHTS)
    with serving(tmp_path / "hub") as server:
        yield server


def open_(hub: Hub, text: str = "hf://acme/model", token: str = "") -> Readable:
    stores = Stores({"HUB_HF_TOKEN": token, "HUB_HF_ENDPOINT": hub.url, "HF_TOKEN": "another-token"})
    return stores.open_source(parse_location(text), None, HubSettings(endpoint=hub.url), Role.MODEL, FIELD)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("hf://acme/model", ["config.json", "onnx/model.onnx"]),
        ("hf://acme/model@main/", ["config.json", "onnx/model.onnx"]),
        ("hf://acme/model/onnx", ["model.onnx"]),
        ("hf://acme/model/onnx/model.onnx", ["model.onnx"]),
        ("hf://datasets/acme/model/config.json", ["config.json"]),
    ],
)
def test_files_are_listed_and_downloaded_unchanged(hub: Hub, tmp_path: Path, text: str, paths: list[str]) -> None:
    assert len(WEIGHTS) >= LARGE
    store = open_(hub, text)
    entries = store.list()
    assert [entry.path for entry in entries] == paths
    entry = entries[-1]
    content = b"{}" if entry.path == "config.json" else WEIGHTS
    moved: list[int] = []
    assert store.download(entry, tmp_path / "copy", moved.append) == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "copy").read_bytes() == content
    assert sum(moved) == entry.size == len(content)
    assert store.find(entry.path) == entry
    assert store.find("absent") is None
    kind = "datasets" if text.startswith("hf://datasets") else "models"
    assert hub.requests[0].startswith(f"api/{kind}/acme/model")


def test_a_range_is_read_without_the_rest(hub: Hub) -> None:
    assert open_(hub).read("onnx/model.onnx", 300, 10) == WEIGHTS[300:310]
    hub.ranges = False
    assert open_(hub).read("onnx/model.onnx", 300, 10) == WEIGHTS[300:310]
    assert open_(hub).read("config.json") == b"{}"


def test_a_broken_download_continues(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = 5000
    store = open_(hub)
    sha256 = store.download(store.list()[-1], tmp_path / "copy")
    assert sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert len([path for path in hub.requests if path.startswith("cdn")]) == 4
    hub.cut_after = 0
    with pytest.raises(StorageUnavailable, match="does not answer"):
        store.download(store.list()[-1], tmp_path / "again")


def test_all_reads_use_one_commit(hub: Hub, tmp_path: Path) -> None:
    """A repository that changes during a read never mixes two commits."""
    store = open_(hub)
    entries = store.list()
    (hub.root / "acme" / "model" / "config.json").write_text('{"changed": true}')
    with pytest.raises(InvalidInput, match="no such revision"):
        store.download(entries[-1], tmp_path / "copy")


def test_the_token_is_sent_only_to_the_hub(hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    with pytest.raises(InvalidInput, match="or it is private") as refused:
        open_(hub).list()
    assert "HF_TOKEN" in refused.value.remedy
    assert refused.value.field == FIELD
    hub.tokens.clear()
    store = open_(hub, token="hf_secret")
    store.download(store.list()[-1], tmp_path / "copy")
    assert hub.requests[-1].startswith("cdn")
    assert hub.tokens == ["Bearer hf_secret", "Bearer hf_secret", None]


def test_the_machines_token_is_sent_only_to_the_hub(hub: Hub) -> None:
    open_(hub).list()
    assert hub.tokens == [None]


def test_a_stalled_connection_times_out(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression_runner.storage.hub.TIMEOUT", 0.2)
    store = open_(hub)
    entry = store.list()[-1]
    hub.stall = 1.0
    with pytest.raises(StorageUnavailable, match="does not answer"):
        store.download(entry, tmp_path / "copy")


def test_a_revision_may_be_a_git_reference(hub: Hub) -> None:
    with pytest.raises(InvalidInput, match="no such revision"):
        open_(hub, "hf://acme/model@refs/pr/1").list()
    assert "refs/pr/1" in hub.requests[0]


def test_a_damaged_download_is_refused(hub: Hub, tmp_path: Path) -> None:
    store = open_(hub)
    hub.damaged = True
    for entry in store.list():
        with pytest.raises(InvalidInput, match="checksum differs from the Hub"):
            store.download(entry, tmp_path / "copy")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hf://acme/absent", "no such repository"),
        ("hf://acme/model@v2", "no such revision"),
        ("hf://acme/model/absent", "nothing at 'absent'"),
    ],
)
def test_missing_files_are_reported(hub: Hub, text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        open_(hub, text).list()


def test_gated_repositories_and_outages_have_different_errors(hub: Hub) -> None:
    hub.gated = True
    with pytest.raises(InvalidInput, match="gated") as gated:
        open_(hub).list()
    assert "accept its terms" in gated.value.remedy
    hub.gated, hub.failing = False, 2
    assert open_(hub).list()
    hub.failing = 1000
    with pytest.raises(StorageUnavailable, match="answers 503"):
        open_(hub).list()
    hub.url = "http://127.0.0.1:9"
    with pytest.raises(StorageUnavailable, match="does not answer"):
        open_(hub).list()


def test_a_models_header_is_read_before_its_weights_move(hub: Hub) -> None:
    tiny_models.bert(hub.root / "acme" / "bert")
    model = Model.model_validate({"source": "hf://acme/bert", "task": "text-embedding"})
    source = inspect(open_(hub, "hf://acme/bert"), model)
    assert source.format == "transformers"
    size = (hub.root / "acme" / "bert" / "model.safetensors").stat().st_size
    assert sum(entry.size for entry in source.files if entry.path == "model.safetensors") == size


@pytest.mark.parametrize("name", ["/mnt/pvc/live/config.json", "onnx\\..\\..\\config.json"])
def test_a_server_cannot_name_files_outside_of_the_location(hub: Hub, name: str) -> None:
    """A job may read from any server of its author: the pod would write the file there, such as in its claims."""
    hub.listed_as["config.json"] = name
    with pytest.raises(InvalidInput, match="leads out of the location") as refused:
        open_(hub).list()
    assert refused.value.reason == "PathRefused"
