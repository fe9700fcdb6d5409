"""Read, write and remove the objects of a publication at an S3 location."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from compression_runner.errors import InvalidInput, StorageUnavailable
from compression_runner.storage.s3_errors import CHANGED, explained
from compression_runner.storage.s3_publishing import AlreadyThere
from compression_runner.storage.s3_upload import MultipartHooks, send
from compression_runner.storage.store import Advance, Entry, Store, Upload


class S3Objects:
    """Objects in a store's bucket; `key` returns the key of a path."""

    def __init__(
        self, store: Store, client: Any, bucket: str, key: Callable[[str], str], field: str, parts: MultipartHooks
    ) -> None:
        self._store = store
        self._client = client
        self._bucket = bucket
        self._key = key
        self._field = field
        self._parts = parts

    def find(self, path: str) -> Entry | None:
        """Return one object, or None."""
        return self._store.find(path)

    def read(self, path: str) -> bytes:
        """Return the content of one object."""
        return self._store.read(path)

    def remove(self, path: str) -> None:
        """Remove one object; a missing object is not an error."""
        self._store.remove(path)

    def send(self, upload: Upload, advance: Advance, *, only_new: bool = False) -> Entry:
        """Upload one object. `only_new`: raise AlreadyThere if it exists, on servers with conditional writes.

        Raises InvalidInput if the file does not have its sha256.
        """
        size = upload.source.stat().st_size
        target = {"Bucket": self._bucket, "Key": self._key(upload.path)}
        with explained(self._field, f"{self._store.url}/{upload.path}"):
            try:
                sent = send(self._client, target, upload, advance, self._parts, only_new=only_new)
            except ClientError as error:
                if only_new and str(error.response.get("Error", {}).get("Code", "")) in CHANGED:
                    raise AlreadyThere from error
                raise
        if sent.sha256 != upload.sha256:
            problem, remedy = "it changed while it was published", "run the job again"
            raise InvalidInput("ChecksumMismatch", self._field, upload.source, problem, remedy)
        # Not every server returns the tag of a multipart upload.
        stored = None if sent.tag else self.find(upload.path)
        return Entry(upload.path, size, stored.tag if stored else sent.tag)

    def incomplete(self, path: str, problem: str) -> StorageUnavailable:
        """Return the error of a publication that cannot be completed."""
        place = f"{self._store.url}/{path}"
        return StorageUnavailable(
            "UploadIncomplete", self._field, place, problem, "check that the object store is running"
        )
