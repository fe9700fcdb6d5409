"""The S3 store against a real server: multipart, ranges, checksums, and servers that die, refuse or are full."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from compression_runner.errors import DiskFull, InvalidInput, RunnerError, StorageUnavailable
from compression_runner.storage import Store, Stores, Upload
from compressionjob.locations import Storage, parse_location
from compressionjob.pod_interface import Role
from tests.integration.operator.api import wait_for
from tests.integration.runner.conftest import Bucket
from tests.integration.runner.cutting_proxy import CuttingProxy

SIZE = 40 << 20


def open_store(bucket: Bucket, key: str, endpoint: str | None = None, job: str = "") -> Store:
    keys = {
        "OUTPUT_AWS_ACCESS_KEY_ID": bucket.server.access_key,
        "OUTPUT_AWS_SECRET_ACCESS_KEY": bucket.server.secret_key,
    }
    storage = Storage(endpoint=endpoint or bucket.server.endpoint)
    location = parse_location(f"s3://{bucket.name}/{key}")
    return Stores(environment=keys, job=job).open(location, storage, Role.OUTPUT, "spec.output.destination")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Upload]:
    """A large file and a marker."""
    folder = tmp_path_factory.mktemp("files")
    entries = []
    for name, content in (("model.onnx", os.urandom(SIZE)), ("artifact.json", b"{}")):
        (folder / name).write_bytes(content)
        entries.append(Upload(folder / name, name, hashlib.sha256(content).hexdigest()))
    return entries


def left_uploads(bucket: Bucket) -> int:
    return len(bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads") or ())


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(
    bucket: Bucket, files: list[Upload], tmp_path: Path
) -> None:
    store = open_store(bucket, "large")
    moved: list[int] = []
    store.publish(files, "artifact.json", advance=moved.append)
    assert sum(moved) == SIZE + 2
    head = bucket.client.head_object(Bucket=bucket.name, Key="large/model.onnx")
    assert head["ETag"].strip('"').endswith("-5")
    assert head["Metadata"]["sha256"] == files[0].sha256
    entry = store.find("model.onnx")
    assert entry is not None
    assert store.download(entry, tmp_path / "copy") == files[0].sha256
    assert store.read("model.onnx", SIZE - 3, 3) == files[0].source.read_bytes()[-3:]
    assert [entry.path for entry in store.list()] == ["artifact.json", "model.onnx"]


def test_one_object_is_a_source_too(bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="single/data.csv", Body=b"text\nhello\n")
    store = open_store(bucket, "single/data.csv")
    entries = store.list()
    assert [(entry.path, entry.size) for entry in entries] == [("data.csv", 11)]
    assert store.read("data.csv", 5, 5) == b"hello"


def test_an_object_that_is_replaced_while_it_is_read_is_noticed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="moving/model.onnx", Body=b"first")
    store = open_store(bucket, "moving")
    entry = store.list()[0]
    bucket.client.put_object(Bucket=bucket.name, Key="moving/model.onnx", Body=b"other")
    with pytest.raises(StorageUnavailable, match="changed while it was read"):
        store.download(entry, tmp_path / "copy")


def test_a_file_that_changed_during_publishing_is_not_published(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(os.urandom(20 << 20))
    (tmp_path / "artifact.json").write_bytes(b"{}")
    wrong = [
        Upload(tmp_path / "model.onnx", "model.onnx", "0" * 64),
        Upload(tmp_path / "artifact.json", "artifact.json", hashlib.sha256(b"{}").hexdigest()),
    ]
    with pytest.raises(InvalidInput, match="changed while it was published"):
        open_store(bucket, "changed").publish(wrong, "artifact.json")
    assert bucket.keys("changed") == []
    assert left_uploads(bucket) == 0


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[CuttingProxy]:
    """A proxy before the server."""
    cutting = CuttingProxy(bucket.server.host, bucket.server.port)
    yield cutting
    cutting.close()


def test_a_server_that_dies_in_a_multipart_upload_leaves_nothing_published(
    bucket: Bucket, files: list[Upload], proxy: CuttingProxy
) -> None:
    store = open_store(bucket, "dying", proxy.endpoint, "u-1")
    proxy.arm(20 << 20)
    with pytest.raises(StorageUnavailable, match="does not answer") as caught:
        store.publish(files, "artifact.json")
    assert caught.value.exit_code == 4
    assert caught.value.field == "spec.output.destination"
    assert proxy.cuts >= 1
    assert bucket.keys("dying") == []
    proxy.arm(None)
    store.publish(files, "artifact.json")
    assert bucket.keys("dying") == ["artifact.json", "model.onnx"]
    assert left_uploads(bucket) == 0
    assert bucket.keys("dying.writer") == []


def test_only_the_own_uploads_are_aborted(bucket: Bucket, files: list[Upload]) -> None:
    left = [
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=f"mine/{name}")["UploadId"]
        for name in ("own", "other")
    ]
    record = json.dumps([["mine/own", left[0]]]).encode()
    bucket.client.put_object(Bucket=bucket.name, Key="mine.writer/uploads-u-1", Body=record)
    open_store(bucket, "mine", job="u-1").publish(files, "artifact.json")
    uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [upload["UploadId"] for upload in uploads] == [left[1]]
    bucket.client.abort_multipart_upload(Bucket=bucket.name, Key="mine/other", UploadId=left[1])
    assert bucket.keys("mine.writer") == []


def test_a_later_writer_takes_over_and_the_earlier_one_stops(bucket: Bucket, files: list[Upload]) -> None:
    earlier, later = (open_store(bucket, "contested", job=job) for job in ("u-1", "u-2"))
    began: list[int] = []

    def take_over(count: int) -> None:
        if not began:
            began.append(count)
            later.publish(files, "artifact.json")

    with pytest.raises(StorageUnavailable) as caught:
        earlier.publish(files, "artifact.json", advance=take_over)
    assert (caught.value.reason, caught.value.exit_code) == ("DestinationTaken", 4)
    assert bucket.keys("contested") == ["artifact.json", "model.onnx"]
    assert bucket.keys("contested.writer") == []
    assert left_uploads(bucket) == 0


def test_a_writer_that_is_overtaken_names_the_other_job(bucket: Bucket, files: list[Upload]) -> None:
    claim = "contested-now.writer/claim-00000007-0123456789ab-u-2"

    def take_over(_count: int) -> None:
        bucket.client.put_object(Bucket=bucket.name, Key=claim, Body=b"{}")

    with pytest.raises(StorageUnavailable, match="the job with uid u-2 is publishing there"):
        open_store(bucket, "contested-now", job="u-1").publish(files, "artifact.json", advance=take_over)
    assert bucket.keys("contested-now.writer") == [claim.rsplit("/", 1)[-1]]


def test_files_that_another_writer_changed_are_sent_again(bucket: Bucket, files: list[Upload]) -> None:
    store = open_store(bucket, "disturbed", job="u-1")
    disturbed: list[int] = []

    def disturb(count: int) -> None:
        if count == len(b"{}") and not disturbed:
            disturbed.append(count)
            bucket.client.put_object(Bucket=bucket.name, Key="disturbed/model.onnx", Body=b"other")

    store.publish(files, "artifact.json", advance=disturb)
    entry = store.find("model.onnx")
    assert entry is not None
    assert disturbed
    assert store.checksum(entry) == files[0].sha256


def test_a_connection_that_breaks_once_is_retried(
    bucket: Bucket, files: list[Upload], proxy: CuttingProxy, tmp_path: Path
) -> None:
    store = open_store(bucket, "broken-once", proxy.endpoint)
    proxy.arm(12 << 20)
    mender = threading.Thread(target=_repair_after_a_cut, args=(proxy,))
    mender.start()
    store.publish(files, "artifact.json")
    mender.join()
    assert proxy.cuts >= 1
    assert bucket.keys("broken-once") == ["artifact.json", "model.onnx"]
    entry = store.find("model.onnx")
    assert entry is not None
    assert store.download(entry, tmp_path / "copy") == files[0].sha256


def _repair_after_a_cut(proxy: CuttingProxy) -> None:
    wait_for("a cut", lambda: proxy.cuts)
    proxy.arm(None)


def test_a_slow_server_is_waited_for(bucket: Bucket, files: list[Upload], proxy: CuttingProxy) -> None:
    proxy.delay = 0.01
    open_store(bucket, "slow", proxy.endpoint).publish(files, "artifact.json")
    assert bucket.keys("slow") == ["artifact.json", "model.onnx"]


def test_a_dead_endpoint_is_storage_unavailable(bucket: Bucket) -> None:
    with pytest.raises(StorageUnavailable, match="does not answer"):
        open_store(bucket, "any", "http://127.0.0.1:1").list()


def answering(status: int, code: str) -> Iterator[str]:
    """Yield the endpoint of a server that always returns one S3 error."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:
            """Do not log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "SlowDown", StorageUnavailable),
        (500, "InternalError", StorageUnavailable),
        (507, "InsufficientStorage", DiskFull),
        (400, "QuotaExceeded", DiskFull),
        (403, "AccessDenied", InvalidInput),
        (403, "InvalidAccessKeyId", InvalidInput),
        (400, "InvalidRequest", InvalidInput),
        (501, "NotImplemented", InvalidInput),
    ],
)
def test_the_servers_error_decides_whether_to_retry(
    bucket: Bucket, status: int, code: str, kind: type[RunnerError]
) -> None:
    for endpoint in answering(status, code):
        with pytest.raises(kind, match=code) as caught:
            open_store(bucket, "any", endpoint).write("file", b"content")
        assert caught.value.remedy
