"""Read models and data from repositories of the Hugging Face Hub, or of a server with its protocol.

Source: https://huggingface.co/docs/hub/api; the client is huggingface_hub. All reads use one commit: the one that the
revision named at the first access.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.errors import HTTPError as _HTTPError  # type: ignore[attr-defined]
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from compression_runner.errors import WORK_REMEDY, InvalidInput, RunnerError, StorageUnavailable, room_on
from compression_runner.storage.retries import with_retries
from compression_runner.storage.store import Advance, Entry, Readable, require_inside, silent
from compressionjob.locations import HUB_DATASETS, Hub, Location

TIMEOUT: Final = 30.0
"""Seconds without a byte after which a connection counts as broken."""
# The base of the errors of the client's HTTP library and of huggingface_hub.
HTTPError: type[Exception] = _HTTPError
TOKEN_REMEDY: Final = "name a Secret with the key HF_TOKEN in spec.hub.secretName (locally set HF_TOKEN)"


class HubStore(Readable):
    """A repository, a folder or a single file in it."""

    def __init__(self, location: Location, hub: Hub, token: str | None, field: str) -> None:
        self._location = location
        self._field = field
        name, _, self._revision = location.container.partition("@")
        self._kind = "dataset" if name.startswith(HUB_DATASETS) else "model"
        self._repository = name.removeprefix(HUB_DATASETS)
        # False: a token that is stored on the machine is not sent to a server that the job names.
        self._api = HfApi(endpoint=hub.endpoint, token=token or False)

    @property
    def url(self) -> str:
        """The location as the user wrote it."""
        return str(self._location)

    @property
    def commit(self) -> str:
        """The commit that the revision names."""
        return str(self._info.sha)

    def list(self) -> Sequence[Entry]:
        """Return every file below the location, except hidden ones."""
        root = self._location.path
        if root in self._files:
            return [self._entry(root, root.rsplit("/", 1)[-1])]
        prefix = f"{root}/" if root else ""
        entries = [
            self._entry(path, path.removeprefix(prefix))
            for path in self._files
            if path.startswith(prefix) and not any(part.startswith(".") for part in path.split("/"))
        ]
        if not entries:
            problem = f"there is nothing at {root!r} in the repository" if root else "the repository is empty"
            raise InvalidInput("SourceNotFound", self._field, self.url, problem, "correct the path")
        for entry in entries:
            require_inside(entry.path, self._field, self.url)
        return sorted(entries, key=lambda entry: entry.path)

    def find(self, path: str) -> Entry | None:
        """Return one file, or None."""
        return self._entry(self._place(path), path) if self._place(path) in self._files else None

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of one file."""
        place = self._place(path)
        if place not in self._files:
            raise InvalidInput("SourceNotFound", self._field, f"{self.url}/{path}", "there is no such file", "name one")
        size = int(self._files[place].size or 0)
        until = size if length is None else min(size, start + length)
        return b"".join(self._blocks(place, start, until))

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Download one file, compare it with the Hub's checksum, and return its sha256."""
        place = self._place(entry.path)
        digest, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)
        with room_on(target, "workdir", WORK_REMEDY):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as sink:
                for block in self._blocks(place, 0, entry.size):
                    digest.update(block)
                    blob.update(block)
                    sink.write(block)
                    advance(len(block))
        # The Hub identifies large files by their sha256, others by git's hash.
        if entry.tag not in (digest.hexdigest(), blob.hexdigest()):
            problem = f"the download's checksum differs from the Hub's ({entry.tag})"
            raise InvalidInput("ChecksumMismatch", self._field, f"{self.url}/{entry.path}", problem, "run it again")
        return digest.hexdigest()

    @cached_property
    def _info(self) -> Any:
        with self._explained(self.url):
            return with_retries(self._request_info, _may_pass)

    def _request_info(self) -> Any:
        return self._api.repo_info(
            self._repository,
            revision=self._revision or None,
            repo_type=self._kind,
            files_metadata=True,
            timeout=TIMEOUT,
        )

    @cached_property
    def _files(self) -> Mapping[str, Any]:
        return {file.rfilename: file for file in self._info.siblings or ()}

    def _entry(self, place: str, path: str) -> Entry:
        file = self._files[place]
        return Entry(path, int(file.size or 0), str(file.lfs.sha256 if file.lfs else file.blob_id))

    def _place(self, path: str) -> str:
        root = self._location.path
        if root in self._files and path == root.rsplit("/", 1)[-1]:
            return root
        return f"{root}/{path}" if root else path

    def _blocks(self, place: str, start: int, until: int) -> Iterator[bytes]:
        """Yield a range in blocks; after a broken connection, continue where it broke."""
        url = hf_hub_url(
            self._repository, place, repo_type=self._kind, revision=self.commit, endpoint=self._api.endpoint
        )
        with self._explained(f"{self.url}/{place}"):
            while start < until:
                begin = partial(_started, partial(self._stream, url, start, until))
                # Each attempt may take TIMEOUT; only their number is limited.
                blocks = with_retries(begin, _may_pass, give_up_after=None)
                try:
                    for block in blocks:
                        start += len(block)
                        yield block
                except HTTPError as error:
                    if not _may_pass(error):
                        raise

    def _stream(self, url: str, start: int, until: int) -> Iterator[bytes]:
        """Yield the part of a range that one request returns."""
        # identity: the range of a compressed response has other bytes.
        wanted = {"Range": f"bytes={start}-{until - 1}", "Accept-Encoding": "identity"}
        headers = build_hf_headers(token=self._api.token) | wanted
        request = get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT)
        with request as answer:
            hf_raise_for_status(answer)
            skipped = 0 if answer.status_code == 206 else start  # a server without ranges sends the whole file
            for arrived in answer.iter_raw():
                block = arrived[skipped:]
                skipped = max(0, skipped - len(arrived))
                block = block[: until - start]
                start += len(block)
                if block:
                    yield block
                if start >= until:
                    return
        raise HTTPError("the answer is too short")

    @contextmanager
    def _explained(self, value: str) -> Iterator[None]:
        try:
            yield
        except HTTPError as error:
            raise _meaning(error, self._field, value) from error
        except HFValidationError as error:
            problem = "it is no name of a repository of the Hub: ORG/NAME of letters, digits, '-', '_' and '.'"
            raise InvalidInput(
                "SourceNotFound", self._field, value, problem, "correct the repository's name"
            ) from error
        except OfflineModeIsEnabled as error:
            remedy = "unset HF_HUB_OFFLINE where the runner runs"
            raise StorageUnavailable(
                "StorageUnavailable", self._field, value, "HF_HUB_OFFLINE forbids requests to the Hub", remedy
            ) from error


def _started(request: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """Return the blocks of a request after the first one has arrived."""
    blocks = request()
    return chain([next(blocks)], blocks)


def _may_pass(error: BaseException) -> bool:
    """Return whether a retry may succeed: no response, or a temporary error."""
    if not isinstance(error, HfHubHTTPError):
        return isinstance(error, HTTPError)
    return error.response.status_code >= 500 or error.response.status_code in (408, 429)


def _meaning(error: Exception, field: str, value: str) -> RunnerError:
    """Convert an error of the Hub to one that names field, value and remedy."""
    if isinstance(error, GatedRepoError):
        problem = "the repository is gated, and this token has not been let in"
        return InvalidInput("AccessDenied", field, value, problem, f"accept its terms on the Hub; {TOKEN_REMEDY}")
    if isinstance(error, RevisionNotFoundError):
        problem, remedy = "the repository has no such revision", "name a branch, a tag or a commit after @"
        return InvalidInput("SourceNotFound", field, value, problem, remedy)
    if isinstance(error, RemoteEntryNotFoundError):
        return InvalidInput("SourceNotFound", field, value, "there is no such file", "correct the path")
    if isinstance(error, RepositoryNotFoundError):
        problem = "there is no such repository, or it is private"
        return InvalidInput("SourceNotFound", field, value, problem, f"correct its name; {TOKEN_REMEDY}")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        said = f"the Hub answers {status}: {' '.join(str(error).split())[:200]}"
        if status in (401, 403):
            return InvalidInput("CredentialsRefused", field, value, said, TOKEN_REMEDY)
        if not _may_pass(error):
            return InvalidInput("RequestRefused", field, value, said, "see what the Hub says")
        return StorageUnavailable("StorageUnavailable", field, value, said, "try again later, or check its server")
    problem = f"the Hub does not answer ({' '.join(str(error).split())[:200]})"
    return StorageUnavailable("StorageUnavailable", field, value, problem, "check the network and the endpoint")
