"""Writers of one volume: none leaves an incomplete model, changes other files, or loses the earlier model."""

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from compression_runner.errors import StorageUnavailable
from compression_runner.storage.directory import DirectoryStore
from tests.unit.compression_runner.storage.test_s3_publishing import MARKER, files_of
from tests.unit.compression_runner.storage.test_storage import upload


@pytest.mark.parametrize("shared", [True, False])
def test_a_second_pod_of_a_job_leaves_complete_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    def pod() -> DirectoryStore:
        return DirectoryStore("pvc://claim/out", tmp_path / "out", "f", "u-1", shared=shared)

    monkeypatch.setattr(fcntl, "flock", flock)
    files = [upload(tmp_path / "m", name, b"x") for name in ("a", "b", MARKER)]
    moved: list[int] = []

    def advance(count: int) -> None:
        moved.append(count)
        if len(moved) == 2:  # the first pod has copied one file, and is copying the second
            pod().publish(files, MARKER)

    with pytest.raises(StorageUnavailable, match="another pod of this job"):
        pod().publish(files, MARKER, advance=advance)
    assert sorted(place.name for place in (tmp_path / "out").iterdir()) == ["a", MARKER, "b"]


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "elsewhere"
    victim.write_text("precious")
    (tmp_path / "vol").mkdir()
    (tmp_path / "vol" / ".out-writer.lock").symlink_to(victim)
    DirectoryStore("file:///out", tmp_path / "vol" / "out", "f", "u-1").publish(files_of(tmp_path / "m", "x"), MARKER)
    assert victim.read_text() == "precious"


def test_the_earlier_directory_is_kept_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, real = tmp_path / "vol" / "out", Path.rename
    root.mkdir(parents=True)
    (root / MARKER).write_text("good")

    def rename(self: Path, target: Path) -> Path:
        if Path(target) == root:
            raise OSError(errno.EIO, "broken")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(StorageUnavailable):
        DirectoryStore("file:///out", root, "f", "u-1").publish(files_of(tmp_path / "m", "one"), MARKER)
    assert [place.read_text() for place in root.parent.rglob(MARKER)] == ["good"]
