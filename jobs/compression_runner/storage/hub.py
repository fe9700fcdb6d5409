"""Repositories of the Hugging Face Hub, or of a server that speaks its protocol: models and data to read.

Source: https://huggingface.co/docs/hub/api; the client is huggingface_hub. What is read comes from the one commit that
the revision named when the location was first looked at.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
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
from compression_runner.storage import patience
from compression_runner.storage.store import Advance, Entry, Readable, silent
from compressionjob.locations import HUB_DATASETS, Hub, Location

TIMEOUT: Final = 30.0
"""Seconds without a byte after which a connection counts as broken off."""
# What the client's HTTP library raises; huggingface_hub's own errors are kinds of it.
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
        # False: a token that somebody left on the machine is not sent to a server of the job's choice.
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
        """Every file below the location, hidden ones left out."""
        root = self._location.path
        if root in self._files:
            return [self._entry(root, root.rsplit("/", 1)[-1])]
        prefix = f"{root}/" if root else ""
        found = [
            self._entry(path, path.removeprefix(prefix))
            for path in self._files
            if path.startswith(prefix) and not any(part.startswith(".") for part in path.split("/"))
        ]
        if not found:
            problem = f"there is nothing at {root!r} in the repository" if root else "the repository is empty"
            raise InvalidInput("SourceNotFound", self._field, self.url, problem, "correct the path")
        return sorted(found, key=lambda entry: entry.path)

    def find(self, path: str) -> Entry | None:
        """One file, or None."""
        return self._entry(self._place(path), path) if self._place(path) in self._files else None

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """A range of one file."""
        place = self._place(path)
        if place not in self._files:
            raise InvalidInput("SourceNotFound", self._field, f"{self.url}/{path}", "there is no such file", "name one")
        size = int(self._files[place].size or 0)
        until = size if length is None else min(size, start + length)
        return b"".join(self._blocks(place, start, until))

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Writes one file and returns its sha256, once it has the checksum that the Hub gives for it."""
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
        # Large files go by their sha256, the others by git's own hash.
        if entry.tag not in (digest.hexdigest(), blob.hexdigest()):
            problem = f"what came has another checksum than the Hub gives ({entry.tag})"
            raise InvalidInput("ChecksumMismatch", self._field, f"{self.url}/{entry.path}", problem, "run it again")
        return digest.hexdigest()

    @cached_property
    def _info(self) -> Any:
        with self._explained(self.url):
            return patience.patiently(self._ask, _may_pass)

    def _ask(self) -> Any:
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
        """A range in blocks; a connection that breaks off is taken up where it did."""
        url = hf_hub_url(
            self._repository, place, repo_type=self._kind, revision=self.commit, endpoint=self._api.endpoint
        )
        pauses = iter(patience.PAUSES)
        with self._explained(f"{self.url}/{place}"):
            while start < until:
                try:
                    for block in self._stream(url, start, until):
                        start += len(block)
                        pauses = iter(patience.PAUSES)
                        yield block
                except HTTPError as error:
                    pause = next(pauses, None)
                    if pause is None or not _may_pass(error):
                        raise
                    time.sleep(pause)

    def _stream(self, url: str, start: int, until: int) -> Iterator[bytes]:
        """What one request gives of a range."""
        # identity: a compressed answer would have other bytes in the range.
        wanted = {"Range": f"bytes={start}-{until - 1}", "Accept-Encoding": "identity"}
        headers = build_hf_headers(token=self._api.token) | wanted
        asked = get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT)
        with asked as answer:
            hf_raise_for_status(answer)
            skipped = 0 if answer.status_code == 206 else start  # a server that knows no ranges sends all
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
            problem = f"the Hub knows no such names: {' '.join(str(error).split())[:200]}"
            raise InvalidInput(
                "SourceNotFound", self._field, value, problem, "correct the repository's name"
            ) from error
        except OfflineModeIsEnabled as error:
            remedy = "unset HF_HUB_OFFLINE where the runner runs"
            raise StorageUnavailable(
                "StorageUnavailable", self._field, value, "it must not be asked", remedy
            ) from error


def _may_pass(error: Exception) -> bool:
    """No answer at all, or one that says: later."""
    if not isinstance(error, HfHubHTTPError):
        return isinstance(error, HTTPError)
    return error.response.status_code >= 500 or error.response.status_code in (408, 429)


def _meaning(error: Exception, field: str, value: str) -> RunnerError:
    """What an answer of the Hub means to the one who wrote the job."""
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
