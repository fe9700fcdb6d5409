"""S3 and compatible servers: range reads, streamed checksums, uploads that are complete or absent."""

import hashlib
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from compression_runner.errors import WORK_REMEDY, InvalidInput, RunnerError, StorageUnavailable, room_on
from compression_runner.storage.retries import with_retries
from compression_runner.storage.s3_beside import S3Beside
from compression_runner.storage.s3_claims import Claim
from compression_runner.storage.s3_errors import explained, may_pass
from compression_runner.storage.s3_ledger import Ledger
from compression_runner.storage.s3_objects import S3Objects
from compression_runner.storage.s3_publishing import Publication
from compression_runner.storage.s3_upload import AT_ONCE, PART, MultipartHooks, abort
from compression_runner.storage.store import Advance, Entry, Upload, require_inside, silent
from compressionjob.locations import Location, Storage

CONFIG: Final = Config(
    connect_timeout=5,
    # A server that accepts a request and does not respond is given up after about a minute and a half.
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=AT_ONCE + 2,
    request_checksum_calculation="when_supported",
    response_checksum_validation="when_supported",
)


class S3Store:
    """Objects below one prefix of a bucket, or a single object.

    `check_identity` is called before an ambient identity is used; it raises if that is for another address.
    """

    def __init__(
        self,
        location: Location,
        storage: Storage,
        credentials: Mapping[str, str],
        field: str,
        job: str = "",
        *,
        shared: bool = False,
        check_identity: Callable[[], None] = lambda: None,
    ) -> None:
        self._check_identity = check_identity
        self._location = location
        self._job = job
        self._shared = shared
        self._storage = storage
        self._credentials = dict(credentials)
        self._field = field

    @cached_property
    def _client(self) -> Any:
        with explained(self._field, self.url):
            if not self._credentials:
                self._check_identity()
            return _client(self._storage.endpoint, self._storage.region, tuple(sorted(self._credentials.items())))

    @property
    def url(self) -> str:
        """The location as the user wrote it."""
        return str(self._location)

    def list(self) -> Sequence[Entry]:
        """Return every object below the prefix, or the location itself if it is an object."""
        prefix = self._location.path.rstrip("/")
        entries = []
        with explained(self._field, self.url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._location.container, Prefix=f"{prefix}/" if prefix else ""
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    path = str(item["Key"])[len(prefix) + 1 if prefix else 0 :]
                    if path and not path.endswith("/"):
                        entries.append(Entry(path, int(item["Size"]), str(item["ETag"]).strip('"')))
        if not entries:
            entries = [self._single()]
        for entry in entries:
            require_inside(entry.path, self._field, self.url)
        return sorted(entries, key=lambda entry: entry.path)

    def find(self, path: str) -> Entry | None:
        """Return one object, or None."""
        with explained(self._field, self.url, absent=True) as answer:
            head = self._client.head_object(Bucket=self._location.container, Key=self._key(path))
            answer.entry = Entry(path, int(head["ContentLength"]), str(head["ETag"]).strip('"'))
        return answer.entry

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of one object."""
        if length == 0:
            return b""
        until = "" if length is None else start + length - 1
        return self._get(self._key(path), {"Range": f"bytes={start}-{until}"} if start or length else {})

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Download one object in ranges, with retries for each range, and return its sha256."""
        digest = hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        with room_on(target, "workdir", WORK_REMEDY), target.open("wb") as sink:
            for block in self._blocks(entry):
                digest.update(block)
                sink.write(block)
                advance(len(block))
        return digest.hexdigest()

    def checksum(self, entry: Entry, advance: Advance = silent) -> str:
        """Read one object in ranges without storing it, and return its sha256."""
        digest = hashlib.sha256()
        for block in self._blocks(entry):
            digest.update(block)
            advance(len(block))
        return digest.hexdigest()

    def write(self, path: str, content: bytes) -> None:
        """Write one small object."""
        with explained(self._field, self.url):
            self._client.put_object(Bucket=self._location.container, Key=self._key(path), Body=content)

    def publish(
        self, files: Sequence[Upload], marker: str, stale: Sequence[str] = (), advance: Advance = silent
    ) -> None:
        """Upload all files, the marker last; after a failure, remove the uploaded files.

        Raises StorageUnavailable if another writer takes over.
        """
        bucket = self._location.container
        ledger = Ledger(self._beside(), self._job)
        ledger.abort_left(self._abort)
        with self._claimed() as claim:
            parts = MultipartHooks(ledger.add, claim.require if claim else lambda: None)
            objects = S3Objects(self, self._client, bucket, self._key, self._field, parts)
            try:
                Publication(objects, claim, marker).run(files, stale, advance)
            finally:
                with suppress(RunnerError):
                    ledger.close(self._abort)

    def require_replaceable(self, marker: str) -> None:
        """Do nothing: only objects of an artifact are replaced, one by one."""

    def require_writable(self) -> None:
        """Write, list and remove a small object next to the location, as publishing does."""
        beside, name = self._beside(), f"probe-{uuid.uuid4().hex[:12]}"
        beside.put(name, b"{}\n")
        beside.names(name)
        beside.drop(name)

    def withdraw(self, paths: Sequence[str], marker: str, tag: str | None = None) -> None:
        """Remove an artifact: the marker first, then its files; with a `tag`, only if it is the marker's."""
        with self._claimed() as claim:
            entry = self.find(marker)
            if tag is not None and (entry is None or entry.tag != tag):
                return
            parts = MultipartHooks(lambda key, upload: None, lambda: None)
            objects = S3Objects(self, self._client, self._location.container, self._key, self._field, parts)
            Publication(objects, claim, marker).clear(paths)

    def discard(self, paths: Sequence[str], marker: str) -> None:
        """Remove these objects, the marker first, and abort uploads that a killed pod of this job left."""
        Ledger(self._beside(), self._job).abort_left(self._abort)
        for path in sorted(paths, key=lambda path: path != marker):
            self.remove(path)

    def remove(self, path: str) -> None:
        """Remove one object; a missing object is not an error."""
        with explained(self._field, self.url):
            self._client.delete_object(Bucket=self._location.container, Key=self._key(path))

    def _key(self, path: str) -> str:
        prefix = self._location.path.rstrip("/")
        if path == prefix.rsplit("/", 1)[-1] and self._is_object:
            return prefix
        return f"{prefix}/{path}" if prefix else path

    @cached_property
    def _is_object(self) -> bool:
        prefix = self._location.path
        if not prefix or prefix.endswith("/"):
            return False
        with explained(self._field, self.url, absent=True) as answer:
            head = self._client.head_object(Bucket=self._location.container, Key=prefix)
            answer.entry = Entry(prefix, int(head["ContentLength"]), "")
        return answer.entry is not None

    def _single(self) -> Entry:
        name = self._location.path.rstrip("/").rsplit("/", 1)[-1]
        entry = self.find(name) if self._is_object else None
        if entry is None:
            raise InvalidInput(
                "SourceNotFound", self._field, self.url, "there is nothing below this key", "correct the bucket or key"
            )
        return entry

    def _get(self, key: str, arguments: Mapping[str, str], tag: str | None = None) -> bytes:
        def attempt() -> bytes:
            answer = self._client.get_object(Bucket=self._location.container, Key=key, **arguments)
            # Compare it too: not every server supports the condition.
            if tag is not None and str(answer["ETag"]).strip('"') != tag:
                raise self._changed(key)
            return bytes(answer["Body"].read())

        # botocore retries a request, but not the reading of its body.
        with explained(self._field, f"s3://{self._location.container}/{key}"):
            return with_retries(attempt, may_pass)

    def _changed(self, key: str) -> StorageUnavailable:
        problem, remedy = "the object changed while it was read", "leave the source alone while a job reads it"
        return StorageUnavailable("SourceChanged", self._field, key, problem, remedy)

    def _blocks(self, entry: Entry) -> Iterator[bytes]:
        key = self._key(entry.path)
        starts = deque(range(0, entry.size, PART))
        under_way: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                while starts or under_way:
                    while starts and len(under_way) < AT_ONCE:
                        start = starts.popleft()
                        until = min(start + PART, entry.size) - 1
                        # IfMatch: ranges must not mix two versions of the object.
                        arguments = {"Range": f"bytes={start}-{until}", "IfMatch": f'"{entry.tag}"'}
                        under_way.append(pool.submit(self._get, key, arguments, entry.tag))
                    yield under_way.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _beside(self) -> S3Beside:
        return S3Beside(self._client, self._location.container, self._location.path, self._field)

    @contextmanager
    def _claimed(self) -> Iterator[Claim | None]:
        """Claim to be the only writer here; yield None if several write the same content."""
        if self._shared:
            yield None
            return
        claim = Claim(self._beside(), self._job, self._field, self.url)
        try:
            yield claim
        finally:
            # An error here changes nothing: the next writer removes the claim.
            with suppress(RunnerError):
                claim.release()

    def _abort(self, key: str, upload: str) -> bool:
        with explained(self._field, self.url):
            return abort(self._client, {"Bucket": self._location.container, "Key": key, "UploadId": upload})


@cache
def _client(endpoint: str | None, region: str | None, credentials: tuple[tuple[str, str], ...]) -> Any:
    """Return one client, with its connections, for all stores of one owner at one endpoint."""
    # Addressing by path: servers other than AWS rarely have a wildcard DNS name for their buckets.
    style = {"addressing_style": "path" if endpoint else "auto"}
    return boto3.session.Session(**dict(credentials)).client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or "us-east-1",
        config=CONFIG.merge(Config(s3=style)),
    )
