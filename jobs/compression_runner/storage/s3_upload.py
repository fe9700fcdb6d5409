"""Uploads to S3: the sha256 is taken from the very bytes that are sent, and nothing half-uploaded is kept."""

import hashlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from compression_runner.storage.patience import patiently
from compression_runner.storage.s3_errors import may_pass
from compression_runner.storage.store import Advance, Upload

PART: Final = 8 << 20
AT_ONCE: Final = 4
# S3 allows 10,000 parts; one is kept back for rounding.
MAX_PARTS: Final = 9_999
CHECKSUM: Final = "SHA256"


def send(client: Any, bucket: str, key: str, upload: Upload, advance: Advance) -> str:
    """Uploads one file and returns the sha256 of what was sent; where that is not what it should be, nothing is kept.

    Raises botocore's errors.
    """
    size = upload.source.stat().st_size
    if size > PART:
        return _send_parts(client, bucket, key, upload, max(PART, -(-size // MAX_PARTS)), advance)
    content = upload.source.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 == upload.sha256:
        client.put_object(Bucket=bucket, Key=key, Body=content, Metadata={"sha256": sha256})
        advance(size)
    return sha256


def abort_left_uploads(client: Any, bucket: str, prefix: str) -> None:
    """Aborts the multipart uploads that a killed run left below a prefix."""
    answer = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    for left in answer.get("Uploads") or ():
        _abort(client, {"Bucket": bucket, "Key": left["Key"], "UploadId": left["UploadId"]})


def _send_parts(client: Any, bucket: str, key: str, upload: Upload, part_size: int, advance: Advance) -> str:
    target = {"Bucket": bucket, "Key": key}
    created = client.create_multipart_upload(**target, ChecksumAlgorithm=CHECKSUM, Metadata={"sha256": upload.sha256})
    target["UploadId"] = created["UploadId"]
    try:
        sender = _Sender(client, target, advance)
        sha256 = sender.send(upload, part_size)
        if sha256 == upload.sha256:
            client.complete_multipart_upload(**target, MultipartUpload={"Parts": sender.parts})
        else:
            _abort(client, target)
    except BaseException:
        _abort(client, target)
        raise
    return sha256


def _abort(client: Any, target: Mapping[str, str]) -> None:
    # A dead server cannot abort; the next run's abort_left_uploads does.
    with suppress(BotoCoreError, ClientError):
        client.abort_multipart_upload(**target)


class _Sender:
    """A few parts under way at once, so that memory stays at a few parts too."""

    def __init__(self, client: Any, target: Mapping[str, str], advance: Advance) -> None:
        self.parts: list[dict[str, Any]] = []
        self._client = client
        self._target = dict(target)
        self._advance = advance
        self._under_way: deque[tuple[int, Future[Any]]] = deque()

    def send(self, upload: Upload, part_size: int) -> str:
        digest = hashlib.sha256()
        with ThreadPoolExecutor(AT_ONCE) as pool, upload.source.open("rb") as source:
            try:
                number = 0
                while block := source.read(part_size):
                    number += 1
                    digest.update(block)
                    future = pool.submit(self._send_one, number, block)
                    self._under_way.append((len(block), future))
                    if len(self._under_way) >= AT_ONCE:
                        self._finish_one()
                while self._under_way:
                    self._finish_one()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return digest.hexdigest()

    def _send_one(self, number: int, block: bytes) -> Any:
        """One part; the server compares what it got with the checksum."""
        return patiently(
            lambda: self._client.upload_part(**self._target, PartNumber=number, Body=block, ChecksumAlgorithm=CHECKSUM),
            may_pass,
        )

    def _finish_one(self) -> None:
        length, future = self._under_way.popleft()
        answer = future.result()
        part = {"PartNumber": len(self.parts) + 1, "ETag": answer["ETag"]}
        # Servers that know no checksums do not send one back.
        if answer.get(f"Checksum{CHECKSUM}"):
            part[f"Checksum{CHECKSUM}"] = answer[f"Checksum{CHECKSUM}"]
        self.parts.append(part)
        self._advance(length)
