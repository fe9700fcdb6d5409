"""Upload files to S3: the sha256 is that of the sent bytes, and incomplete uploads are aborted."""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from compression_runner.storage.retries import with_retries
from compression_runner.storage.s3_errors import may_pass
from compression_runner.storage.store import Advance, Upload

PART: Final = 8 << 20
AT_ONCE: Final = 4
# S3 allows 10,000 parts; one is reserved for rounding.
MAX_PARTS: Final = 9_999
CHECKSUM: Final = "SHA256"


@dataclass(frozen=True)
class MultipartHooks:
    """Callbacks of a multipart upload.

    `created` receives its key and id before a part is sent. `require` raises if it must not be completed: the parts may
    take hours, and only the completion creates the object.
    """

    created: Callable[[str, str], None]
    require: Callable[[], None]


@dataclass(frozen=True)
class Sent:
    """The sha256 of the sent bytes, and the server's tag; an empty tag if the upload was aborted."""

    sha256: str
    tag: str


def send(
    client: Any, target: Mapping[str, str], upload: Upload, advance: Advance, hooks: MultipartHooks, *, only_new: bool
) -> Sent:
    """Upload one file to a `target` (Bucket, Key); abort if its sha256 is not that of `upload`.

    Raises botocore's errors.
    """
    size = upload.source.stat().st_size
    if size > PART:
        return _send_parts(client, target, upload, max(PART, -(-size // MAX_PARTS)), advance, hooks)
    content = upload.source.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != upload.sha256:
        return Sent(sha256, "")
    arguments = {**target, "Body": content, "Metadata": {"sha256": sha256}}
    answer = _put_new(client, arguments) if only_new else client.put_object(**arguments)
    advance(size)
    return Sent(sha256, tag_of(answer))


def tag_of(answer: Mapping[str, Any]) -> str:
    """Return the ETag of a response, without its quotes."""
    return str(answer.get("ETag") or "").strip('"')


def abort(client: Any, target: Mapping[str, str]) -> bool:
    """Abort a multipart upload, and return whether it is gone."""
    try:
        client.abort_multipart_upload(**target)
    except ClientError as error:
        return str(error.response.get("Error", {}).get("Code", "")) == "NoSuchUpload"
    except BotoCoreError:
        return False
    return True


def _put_new(client: Any, arguments: Mapping[str, Any]) -> Any:
    """Write an object that must not exist. A server without conditional writes refuses or ignores the condition."""
    try:
        return client.put_object(**arguments, IfNoneMatch="*")
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code != "NotImplemented" and status not in (400, 405, 501):
            raise
    return client.put_object(**arguments)


def _send_parts(
    client: Any, target: Mapping[str, str], upload: Upload, part_size: int, advance: Advance, hooks: MultipartHooks
) -> Sent:
    answer = client.create_multipart_upload(**target, ChecksumAlgorithm=CHECKSUM, Metadata={"sha256": upload.sha256})
    target = {**target, "UploadId": str(answer["UploadId"])}
    try:
        hooks.created(target["Key"], target["UploadId"])
        sender = _Sender(client, target, advance)
        sha256 = sender.send(upload, part_size)
        if sha256 == upload.sha256:
            hooks.require()
            done = client.complete_multipart_upload(**target, MultipartUpload={"Parts": sender.parts})
            return Sent(sha256, tag_of(done))
        abort(client, target)
    except BaseException:
        abort(client, target)
        raise
    return Sent(sha256, "")


class _Sender:
    """Sends a few parts at once, which limits memory to these parts."""

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
        """Send one part; the server compares it with the checksum."""
        return with_retries(
            lambda: self._client.upload_part(**self._target, PartNumber=number, Body=block, ChecksumAlgorithm=CHECKSUM),
            may_pass,
        )

    def _finish_one(self) -> None:
        length, future = self._under_way.popleft()
        answer = future.result()
        part = {"PartNumber": len(self.parts) + 1, "ETag": answer["ETag"]}
        # Servers without checksums do not return one.
        if answer.get(f"Checksum{CHECKSUM}"):
            part[f"Checksum{CHECKSUM}"] = answer[f"Checksum{CHECKSUM}"]
        self.parts.append(part)
        self._advance(length)
