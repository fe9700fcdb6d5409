"""Directories as stores: confined, atomic, and with clear errors."""

import errno
import fcntl
import hashlib
from pathlib import Path

import pytest

from compression_runner.errors import DiskFull, InvalidInput, StorageUnavailable
from compression_runner.storage import Stores, Upload
from compression_runner.storage.credentials import credentials
from compression_runner.storage.directory import DirectoryStore
from compression_runner.storage.directory_lock import locked
from compressionjob.locations import parse_location
from compressionjob.pod_interface import Role
from tests.support.limits import largest_file


def store(place: Path) -> DirectoryStore:
    return DirectoryStore(f"file://{place}", place, "spec.output.destination")


def upload(place: Path, name: str, content: bytes) -> Upload:
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(content)
    return Upload(place / name, name, hashlib.sha256(content).hexdigest())


def test_publishing_replaces_the_whole_directory(tmp_path: Path) -> None:
    target = store(tmp_path / "out")
    target.publish(
        [upload(tmp_path / "a", "old", b"1"), upload(tmp_path / "a", "artifact.json", b"{}")], "artifact.json"
    )
    target.publish(
        [upload(tmp_path / "b", "new", b"2"), upload(tmp_path / "b", "artifact.json", b"{}")], "artifact.json"
    )
    assert sorted(place.name for place in (tmp_path / "out").iterdir()) == ["artifact.json", "new"]
    assert [place.name for place in tmp_path.iterdir() if place.name.startswith(".")] == []


def test_a_file_that_changed_during_publishing_is_not_published(tmp_path: Path) -> None:
    files = [upload(tmp_path / "a", "model.onnx", b"1" * 100), upload(tmp_path / "a", "artifact.json", b"{}")]
    (tmp_path / "a" / "model.onnx").write_bytes(b"2" * 100)
    with pytest.raises(InvalidInput, match="changed while it was published"):
        store(tmp_path / "out").publish(files, "artifact.json")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_at_the_destination(tmp_path: Path) -> None:
    files = [upload(tmp_path / "a", "model.onnx", bytes(100_000)), upload(tmp_path / "a", "artifact.json", b"{}")]
    with largest_file(50_000), pytest.raises(DiskFull) as caught:
        store(tmp_path / "out").publish(files, "artifact.json")
    assert caught.value.exit_code == 7
    assert caught.value.field == "spec.output.destination"
    assert not (tmp_path / "out").exists()
    assert [place.name for place in tmp_path.iterdir() if place.name.startswith(".")] == []


def test_a_full_work_directory_is_reported_while_fetching(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "weights").write_bytes(bytes(100_000))
    source = store(tmp_path / "source")
    with largest_file(50_000), pytest.raises(DiskFull) as caught:
        source.download(source.list()[0], tmp_path / "copy")
    assert caught.value.field == "workdir"


def test_a_run_removes_only_temporary_files_of_its_killed_pods(tmp_path: Path) -> None:
    others = [f".out-new-u2-{'0' * 32}", f".out-new-local-{'0' * 32}"]
    for name in (f".out-new-u1-{'0' * 32}", f".out-old-u1-{'1' * 32}", *others):
        (tmp_path / name).mkdir()
    DirectoryStore("file:///out", tmp_path / "out", "spec.output.destination", "u-1").publish(
        [upload(tmp_path / "a", "artifact.json", b"{}")], "artifact.json"
    )
    assert sorted(place.name for place in tmp_path.iterdir()) == [*sorted(others), "a", "out"]


def test_a_directory_with_another_writer_is_not_changed(tmp_path: Path) -> None:
    files = [upload(tmp_path / "a", "artifact.json", b"{}")]
    with locked(tmp_path / "out", "u-2"), pytest.raises(StorageUnavailable, match=r"uid u-2 .*process") as caught:
        store(tmp_path / "out").publish(files, "artifact.json")
    assert (caught.value.reason, caught.value.exit_code) == ("DestinationTaken", 4)
    assert not (tmp_path / "out").exists()
    store(tmp_path / "out").publish(files, "artifact.json")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["a", "out"]


def test_a_file_system_without_locks_is_written_without_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    store(tmp_path / "out").publish([upload(tmp_path / "a", "artifact.json", b"{}")], "artifact.json")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["a", "out"]


def test_a_replaced_artifact_is_not_withdrawn(tmp_path: Path) -> None:
    target = store(tmp_path / "out")
    target.publish([upload(tmp_path / "a", "artifact.json", b"{}")], "artifact.json")
    before = target.find("artifact.json")
    assert before is not None
    target.publish([upload(tmp_path / "b", "artifact.json", b"{ }")], "artifact.json")
    target.withdraw([], "artifact.json", before.tag)
    assert (tmp_path / "out" / "artifact.json").read_bytes() == b"{ }"


def test_a_checksum_is_read_without_a_copy(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    entry = store(tmp_path).find("model.onnx")
    assert entry is not None
    assert store(tmp_path).checksum(entry) == hashlib.sha256(b"weights").hexdigest()


def test_directories_with_other_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    store(tmp_path / "out").require_replaceable("artifact.json")
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidInput, match=r"files without artifact\.json") as caught:
        store(tmp_path / "out").require_replaceable("artifact.json")
    assert caught.value.reason == "DestinationNotEmpty"


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "a/../../outside"])
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").write_text("secret")
    with pytest.raises(InvalidInput, match="leads out"):
        store(tmp_path / "root").read(path)


@pytest.mark.parametrize("link_to_folder", [True, False])
def test_no_symlink_leads_out(tmp_path: Path, link_to_folder: bool) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    target = tmp_path / "outside" if link_to_folder else tmp_path / "outside" / "secret"
    (tmp_path / "root" / "link").symlink_to(target)
    with pytest.raises(InvalidInput, match="symlink leads out"):
        store(tmp_path / "root").list()


def test_symlinks_inside_are_files_like_others(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "model.onnx").write_text("weights")
    (tmp_path / "root" / "latest.onnx").symlink_to("model.onnx")
    assert [entry.path for entry in store(tmp_path / "root").list()] == ["latest.onnx", "model.onnx"]


def test_a_missing_source_names_the_field(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no such file") as caught:
        store(tmp_path / "nowhere").list()
    assert caught.value.field == "spec.output.destination"


def test_claims_are_below_their_mounts(tmp_path: Path) -> None:
    stores = Stores(claims=tmp_path, base=Path("/base"))
    assert stores.path(parse_location("pvc://models/bert/v1")) == tmp_path / "models" / "bert" / "v1"
    assert stores.path(parse_location("file:///data/a.csv")) == Path("/data/a.csv")
    assert stores.path(parse_location("file://./a.csv")) == Path("/base/a.csv")


def test_each_role_has_its_own_credentials() -> None:
    environment = {
        "MODEL_AWS_ACCESS_KEY_ID": "m",
        "MODEL_AWS_SECRET_ACCESS_KEY": "s",
        "OUTPUT_AWS_SESSION_TOKEN": "t",
    }
    assert credentials(environment, Role.MODEL) == {"aws_access_key_id": "m", "aws_secret_access_key": "s"}
    assert credentials(environment, Role.DATA) == {}
    assert credentials(environment, Role.OUTPUT) == {"aws_session_token": "t"}
