"""Small objects next to an S3 location: the location itself contains only the model's files."""

from collections.abc import Sequence
from typing import Any, Final

from compression_runner.storage.s3_errors import explained

SUFFIX: Final = ".writer"


class S3Beside:
    """Objects below `<location>.writer/`, by their names."""

    def __init__(self, client: Any, bucket: str, path: str, field: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{path.rstrip('/')}{SUFFIX}/"
        self._field = field

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with a prefix."""
        with explained(self._field, self._url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}"
            )
            return [str(item["Key"])[len(self._prefix) :] for page in pages for item in page.get("Contents", ())]

    def get(self, name: str) -> bytes | None:
        """Return the content of an object; None if it is missing."""
        content: bytes | None = None
        with explained(self._field, self._url, absent=True):
            content = bytes(self._client.get_object(**self._target(name))["Body"].read())
        return content

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        with explained(self._field, self._url):
            self._client.put_object(**self._target(name), Body=content)

    def drop(self, name: str) -> None:
        """Remove an object; a missing object is not an error."""
        with explained(self._field, self._url):
            self._client.delete_object(**self._target(name))

    @property
    def _url(self) -> str:
        """The location as the user knows it; errors name it instead of these objects."""
        return f"s3://{self._bucket}/{self._prefix.removesuffix(f'{SUFFIX}/')}"

    def _target(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{name}"}
