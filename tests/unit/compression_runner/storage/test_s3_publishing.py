"""One writer at a time at an S3 location, step by step, against objects in memory."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from compression_runner.errors import StorageUnavailable
from compression_runner.storage.s3_claims import Claim
from compression_runner.storage.s3_ledger import Ledger
from compression_runner.storage.s3_publishing import AlreadyThere, Publication
from compression_runner.storage.s3_upload import MultipartHooks, send
from compression_runner.storage.store import Advance, Entry, Upload, silent

MARKER = "artifact.json"


class Beside(dict[str, bytes]):
    """Small objects beside a location."""

    def names(self, prefix: str) -> Sequence[str]:
        return sorted(name for name in self if name.startswith(prefix))

    def put(self, name: str, content: bytes) -> None:
        self[name] = content

    def drop(self, name: str) -> None:
        self.pop(name, None)


class Objects:
    """Objects below a location, on a server with conditional writes; `before` and `after` are called around each."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.before: Callable[[str], None] = lambda path: None
        self.after: Callable[[str], None] = lambda path: None

    def find(self, path: str) -> Entry | None:
        content = self.content.get(path)
        return None if content is None else Entry(path, len(content), hashlib.md5(content).hexdigest())

    def read(self, path: str) -> bytes:
        return self.content[path]

    def remove(self, path: str) -> None:
        self.content.pop(path, None)

    def send(self, upload: Upload, advance: Advance, *, only_new: bool = False) -> Entry:
        self.before(upload.path)
        if only_new and upload.path in self.content:
            raise AlreadyThere
        self.content[upload.path] = upload.source.read_bytes()
        sent = self.find(upload.path)
        assert sent is not None
        self.after(upload.path)
        return sent

    def incomplete(self, path: str, problem: str) -> StorageUnavailable:
        return StorageUnavailable("UploadIncomplete", "field", path, problem, "remedy")


def claim(beside: Beside, job: str) -> Claim:
    return Claim(beside, job, "spec.output.destination", "s3://models/out")


def files_of(folder: Path, name: str) -> list[Upload]:
    """Return a model and the marker that names its checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model").write_text(name)
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    (folder / MARKER).write_text(sha256)
    return [
        Upload(folder / "model", "model", sha256),
        Upload(folder / MARKER, MARKER, hashlib.sha256(sha256.encode()).hexdigest()),
    ]


def is_whole(content: dict[str, bytes]) -> bool:
    return MARKER in content and hashlib.sha256(content["model"]).hexdigest().encode() == content[MARKER]


def test_the_later_claim_owns_the_location() -> None:
    beside = Beside()
    first = claim(beside, "u-1")
    first.require()
    second = claim(beside, "u-2")
    with pytest.raises(StorageUnavailable, match="uid u-2 is publishing there"):
        first.require()
    second.require()
    second.release()
    assert not first.holds()
    with pytest.raises(StorageUnavailable, match="another job has published there"):
        first.require()
    first.release()
    assert beside == {}


def test_an_ending_earlier_writer_keeps_the_later_claim() -> None:
    beside = Beside()
    first, second = claim(beside, "u-1"), claim(beside, "")
    first.release()
    assert second.holds()
    assert [name.rsplit("-", 1)[-1] for name in beside] == ["local"]


def test_a_late_marker_of_an_earlier_writer_is_replaced(tmp_path: Path) -> None:
    objects = Objects({})

    def arrive(path: str) -> None:
        if path == MARKER:
            objects.before = lambda path: None
            objects.content[MARKER] = b"late"

    objects.before = arrive
    Publication(objects, claim(Beside(), "u-1"), MARKER).run(files_of(tmp_path, "one"), [], silent)
    assert is_whole(objects.content)


def test_a_late_file_of_an_earlier_writer_removes_the_later_marker(tmp_path: Path) -> None:
    objects, beside = Objects({}), Beside()
    earlier = claim(beside, "u-1")

    def later(path: str) -> None:
        # The earlier writer's request is in flight while the later one starts and ends.
        objects.before = lambda path: None
        other = claim(beside, "u-2")
        Publication(objects, other, MARKER).run(files_of(tmp_path / "two", "two"), [], silent)
        other.release()
        assert is_whole(objects.content)

    objects.before = later
    with pytest.raises(StorageUnavailable, match="left it alone"):
        Publication(objects, earlier, MARKER).run(files_of(tmp_path / "one", "one"), [], silent)
    assert objects.content == {"model": b"one"}


def test_an_overtaken_writer_removes_nothing(tmp_path: Path) -> None:
    objects, beside = Objects({}), Beside()
    earlier = claim(beside, "u-1")
    objects.after = lambda path: beside.put("claim-00000009-0123456789ab-u-2", b"") if path == "model" else None
    with pytest.raises(StorageUnavailable, match="u-2"):
        Publication(objects, earlier, MARKER).run(files_of(tmp_path, "one"), [], silent)
    assert objects.content == {"model": b"one"}


def test_a_failed_writer_removes_only_its_own_files(tmp_path: Path) -> None:
    objects = Objects({"theirs": b"1"})

    def fail(path: str) -> None:
        if path == MARKER:
            raise StorageUnavailable("StorageUnavailable", "field", path, "away", "wait")

    objects.before = fail
    with pytest.raises(StorageUnavailable, match="away"):
        Publication(objects, None, MARKER).run(files_of(tmp_path, "one"), [], silent)
    assert objects.content == {"theirs": b"1"}


def test_uploads_that_are_not_aborted_stay_recorded() -> None:
    beside = Beside()
    Ledger(beside, "u-1").add("out/model", "id-1")
    Ledger(beside, "u-2").add("out/model", "id-2")
    again = Ledger(beside, "u-1")
    again.abort_left(lambda key, upload: False)
    assert sorted(name.split(".")[0] for name in beside) == ["uploads-u-1", "uploads-u-2"]
    aborted: list[str] = []
    again.abort_left(lambda key, upload: not aborted.append(upload))  # type: ignore[func-returns-value]
    assert (aborted, [name.split(".")[0] for name in beside]) == (["id-1"], ["uploads-u-2"])


def test_a_local_run_records_no_uploads() -> None:
    beside = Beside()
    Ledger(beside, "").add("out/model", "id-1")
    assert beside == {}


class Refusing:
    """An S3 client of a server without conditional writes."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def put_object(self, **arguments: Any) -> dict[str, str]:
        if "IfNoneMatch" in arguments:
            raise ClientError({"Error": {"Code": "NotImplemented"}}, "PutObject")
        self.written.append(arguments)
        return {"ETag": '"tag"'}


def test_a_server_without_conditional_writes_gets_no_conditions(tmp_path: Path) -> None:
    client, (_, marker) = Refusing(), files_of(tmp_path, "one")
    parts = MultipartHooks(lambda key, upload: None, lambda: None)
    sent = send(client, {"Bucket": "b", "Key": "k"}, marker, silent, parts, only_new=True)
    assert (sent.tag, len(client.written)) == ("tag", 1)
