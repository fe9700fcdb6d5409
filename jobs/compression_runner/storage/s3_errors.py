"""Convert botocore's errors to invalid input, a full store, or an unavailable store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)
from urllib3.exceptions import HTTPError

from compression_runner.errors import DiskFull, InvalidInput, RunnerError, StorageUnavailable
from compression_runner.storage.store import Entry
from compressionjob.pod_interface import CORRECT_KEYS

CREDENTIALS: Final = {
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "403",
}
ABSENT: Final = {"NoSuchKey", "NotFound", "404"}
NO_ROOM: Final = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge", "507"}
CHANGED: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
# The errors of botocore and urllib3 for a body that breaks off.
BROKEN: Final = (
    BotocoreConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    HTTPError,
    OSError,
)


@dataclass
class Answer:
    """The result of a request inside `explained(absent=True)`."""

    entry: Entry | None = None


@contextmanager
def explained(field: str, value: str, *, absent: bool = False) -> Iterator[Answer]:
    """Convert botocore's errors to this project's; with `absent`, a missing key is not an error."""
    answer = Answer()
    try:
        yield answer
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if absent and code in ABSENT:
            return
        raise _client_error(error, code, field, value) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        remedy = "name a Secret in storage.secretName, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise InvalidInput("CredentialsMissing", field, value, "there are no credentials", remedy) from error
    except (BotoCoreError, HTTPError) as error:
        problem = f"the object store does not answer ({_short(error)})"
        raise StorageUnavailable(
            "StorageUnavailable", field, value, problem, "check the endpoint, and that the object store is running"
        ) from error


def may_pass(error: BaseException) -> bool:
    """Return whether a body broke off: botocore retries a request, but not the reading of its body."""
    return isinstance(error, BROKEN)


def _client_error(error: ClientError, code: str, field: str, value: str) -> RunnerError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"the object store says {code}: {_short(error.response.get('Error', {}).get('Message', ''))}"
    if code in NO_ROOM or status == 507:
        return DiskFull("DestinationFull", field, value, said, "free some room there, or name another destination")
    if code in CREDENTIALS or status in (401, 403):
        return InvalidInput("CredentialsRefused", field, value, said, f"{CORRECT_KEYS}, or their rights")
    if code == "NoSuchBucket":
        return InvalidInput("BucketNotFound", field, value, said, "correct the bucket's name, or create it")
    if code == "NoSuchUpload":
        # Another pod of this job has started again, or a lifecycle rule has removed the upload.
        problem = "the upload in parts was aborted meanwhile"
        return StorageUnavailable("UploadAborted", field, value, problem, "check the bucket's lifecycle rules")
    if code in ABSENT:
        return InvalidInput("SourceNotFound", field, value, said, "correct the key")
    if code in CHANGED:
        problem = "the object changed while it was read"
        return StorageUnavailable("SourceChanged", field, value, problem, "leave the source alone while a job reads it")
    if status == 501:
        # Some servers return this for an unknown access key (versitygw with one user).
        remedy = f"{CORRECT_KEYS}, or name a server that implements S3"
        return InvalidInput("RequestRefused", field, value, said, remedy)
    if status >= 500 or status in (408, 429) or code in ("SlowDown", "RequestTimeout", "RequestTimeTooSkewed"):
        return StorageUnavailable("StorageUnavailable", field, value, said, "check that the object store is running")
    return InvalidInput("RequestRefused", field, value, said, "see what the object store says")


def _short(text: object) -> str:
    return " ".join(str(text).split())[:200].rstrip(".")
