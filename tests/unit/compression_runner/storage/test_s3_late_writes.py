"""A late writer, or one whose permissions end, never damages the files of a later one."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from compression_runner.errors import InvalidInput, StorageUnavailable
from compression_runner.storage.s3 import S3Store
from compression_runner.storage.s3_errors import explained
from compression_runner.storage.s3_ledger import Ledger
from compression_runner.storage.s3_publishing import Publication
from compression_runner.storage.s3_upload import MultipartHooks, send
from compression_runner.storage.store import Upload, silent
from compressionjob.locations import Storage, parse_location
from tests.unit.compression_runner.storage.test_s3_publishing import (
    MARKER,
    Beside,
    Objects,
    Refusing,
    claim,
    files_of,
)


def sealed_files(folder: Path, text: str, **others: bytes) -> list[Upload]:
    """Return files whose marker names them, as artifact.json does: ``model`` with this text, and others."""
    files = files_of(folder, text)
    names = ["model", *others]
    for name, content in others.items():
        (folder / name).write_bytes(content)
        files.insert(0, Upload(folder / name, name, hashlib.sha256(content).hexdigest()))
    listed = " ".join([hashlib.sha256(text.encode()).hexdigest(), *(f'"{name}"' for name in names)]).encode()
    (folder / MARKER).write_bytes(listed)
    files[-1] = Upload(folder / MARKER, MARKER, hashlib.sha256(listed).hexdigest())
    return files


def test_an_ending_pod_does_not_abort_the_uploads_of_the_next_one() -> None:
    beside, aborted = Beside(), list[str]()

    def abort(key: str, upload: str) -> bool:
        aborted.append(upload)
        return True

    old = Ledger(beside, "u-1")
    old.add("out/model", "old")
    new = Ledger(beside, "u-1")
    new.abort_left(abort)
    new.add("out/model", "new")
    old.close(abort)
    assert "new" not in aborted
    assert any(b"new" in content for content in beside.values())


def test_a_late_removal_leaves_no_marker_over_a_missing_file(tmp_path: Path) -> None:
    objects, beside = Objects({"tokenizer": b"old", MARKER: b"old"}), Beside()
    earlier, remove = claim(beside, "u-1"), objects.remove

    def late(path: str) -> None:
        if path == "tokenizer":
            objects.remove = remove  # type: ignore[method-assign]
            other = claim(beside, "u-2")
            Publication(objects, other, MARKER).run(sealed_files(tmp_path / "two", "two", tokenizer=b"t"), [], silent)
            other.release()
        remove(path)

    objects.remove = late  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        Publication(objects, earlier, MARKER).run(files_of(tmp_path / "one", "one"), ["tokenizer"], silent)
    assert MARKER not in objects.content or "tokenizer" in objects.content


def test_a_late_rollback_leaves_no_marker_over_a_missing_file(tmp_path: Path) -> None:
    objects, beside = Objects({}), Beside()
    earlier, remove = claim(beside, "u-1"), objects.remove
    files = sealed_files(tmp_path, "same")

    def fail(path: str) -> None:
        if path == MARKER:
            raise StorageUnavailable("StorageUnavailable", "f", path, "away", "w")

    def late(path: str) -> None:
        if path == "model":
            objects.remove = remove  # type: ignore[method-assign]
            objects.before = lambda _: None
            other = claim(beside, "u-1")
            Publication(objects, other, MARKER).run(files, [], silent)
            other.release()
        remove(path)

    objects.before, objects.remove = fail, late  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        Publication(objects, earlier, MARKER).run(files, [], silent)
    assert MARKER not in objects.content or "model" in objects.content


def test_a_marker_removed_during_a_read_is_not_an_error(tmp_path: Path) -> None:
    objects, beside = Objects({}), Beside()
    earlier = claim(beside, "u-1")

    def overtaken(_: str) -> None:
        beside.put("claim-00000009-0123456789ab-u-2", b"")
        objects.content[MARKER] = b"theirs"

    def read(path: str) -> bytes:
        objects.content.pop(path)
        raise InvalidInput("SourceNotFound", "f", path, "gone", "r")

    objects.after, objects.read = overtaken, read  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        Publication(objects, earlier, MARKER).run(files_of(tmp_path, "one"), [], silent)


class Undeletable(Beside):
    """A store whose keys have expired when the writer ends."""

    def get(self, name: str) -> bytes | None:  # type: ignore[override]
        """Return the content of one."""
        return dict.get(self, name)

    def drop(self, name: str) -> None:
        """Refuse."""
        raise InvalidInput("CredentialsRefused", "f", "v", "ExpiredToken", "r")


@pytest.mark.parametrize("failure", [None, StorageUnavailable("StorageUnavailable", "f", "v", "away", "r")])
def test_errors_during_cleanup_do_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    def run(*_: Any) -> None:
        if failure is not None:
            raise failure

    monkeypatch.setattr(Publication, "run", run)
    store = S3Store(parse_location("s3://models/out"), Storage(), {}, "spec.output.destination", "u-1")
    store.__dict__["_client"] = object()
    monkeypatch.setattr(store, "_beside", Undeletable)
    if failure is None:
        store.publish([], MARKER)
    else:
        with pytest.raises(StorageUnavailable, match="away"):
            store.publish([], MARKER)


def test_no_object_in_the_bucket_blocks_all_later_writers() -> None:
    beside = Beside({"claim-99999999-0123456789ab-x": b""})
    claim(beside, "u-1").require()


def test_an_upload_aborted_by_another_client_is_retried() -> None:
    answer: Any = {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
    with pytest.raises(StorageUnavailable, match="aborted"), explained("f", "v"):
        raise ClientError(answer, "UploadPart")


class ReadOnly(Beside):
    """Keys that may not write beside the destination."""

    def put(self, name: str, content: bytes) -> None:
        """Refuse."""
        raise InvalidInput("CredentialsRefused", "spec.output.destination", name, "AccessDenied", "r")


def test_missing_write_permission_is_detected_before_the_stages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = S3Store(parse_location("s3://models/out"), Storage(), {}, "spec.output.destination", "u-1")
    monkeypatch.setattr(store, "_beside", ReadOnly)
    with pytest.raises(InvalidInput, match="AccessDenied"):
        store.require_writable()


class Odd(Refusing):
    """A server that refuses conditional writes as invalid arguments."""

    def put_object(self, **arguments: Any) -> Any:
        """Write, but not conditionally."""
        if "IfNoneMatch" in arguments:
            answer: Any = {"Error": {"Code": "InvalidArgument"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(answer, "PutObject")
        return super().put_object(**arguments)


def test_a_server_that_refuses_conditions_gets_unconditional_writes(tmp_path: Path) -> None:
    _, marker = files_of(tmp_path, "one")
    parts = MultipartHooks(lambda key, upload: None, lambda: None)
    sent = send(Odd(), {"Bucket": "b", "Key": "k"}, marker, silent, parts, only_new=True)
    assert sent.tag == "tag"
