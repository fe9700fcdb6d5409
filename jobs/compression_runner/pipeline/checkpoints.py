"""Store the outputs of steps by fingerprint: in the work directory, and in the job's checkpoint store."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact, ArtifactDamaged
from compression_runner.errors import WORK_REMEDY, InvalidInput, room_on
from compression_runner.formats.source.file_references import require_own_files
from compression_runner.pipeline.checkpoint_users import PROGRESS, CheckpointUsers
from compression_runner.storage import Advance, Store, Upload, silent

LOG: Final = logging.getLogger(__name__)
CHECKPOINTS: Final = "checkpoints"
"""Their folder in the work directory."""
PARTIAL: Final = ".partial-"
KEPT: Final = ".kept-"
INDEX: Final = "index.json"


class Checkpoints:
    """Complete outputs by fingerprint. `remote` opens the folder of a checkpoint in the job's store, if it has one.

    `users` registers the files that this job writes there: only these are removed after its end.
    """

    def __init__(
        self, local: Path, remote: Callable[[str], Store] | None, users: CheckpointUsers | None = None
    ) -> None:
        self._local = local
        self._remote = remote
        self._users = users
        local.mkdir(parents=True, exist_ok=True)
        for left in local.glob(f"{PARTIAL}*"):
            shutil.rmtree(left)

    def begin(self, fingerprint: str) -> Path:
        """Return an empty work directory for the step with this fingerprint."""
        place = self._local / f"{PARTIAL}{fingerprint}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def commit(self, fingerprint: str, made: Artifact, advance: Advance = silent) -> Artifact:
        """Keep the output in the directory of `begin`; the store gets artifact.json last too."""
        place = self._local / fingerprint
        shutil.rmtree(place, ignore_errors=True)
        made.path.rename(place)
        kept = artifacts.load(place)
        if self._remote:
            uploads = kept.uploads()
            if self._users:
                self._users.write(fingerprint, [it.path for it in uploads], sum(file.size for file in kept.files))
            self._remote(fingerprint).publish(uploads, artifacts.MARKER, advance=advance)
        return kept

    def keeping(self, fingerprint: str) -> tuple[Path, Callable[[], None]]:
        """Return a directory for a long stage's intermediate checkpoint, and a function that saves it.

        If the job has a store, the directory gets the last saved files of this pod or an earlier one.
        """
        place = self._local / f"{KEPT}{fingerprint}"
        place.mkdir(exist_ok=True)
        store = self._remote(f"{fingerprint}{PROGRESS}") if self._remote else None
        if store is None:
            return place, lambda: None
        if not any(place.iterdir()):
            self._restore(store, place)
        stale = _listed(store)

        def keep() -> None:
            nonlocal stale
            files = sorted(path for path in place.iterdir() if path.is_file() and path.name != INDEX)
            listing = place / INDEX
            sums = {path.name: artifacts.sha256_of(path) for path in files}
            listing.write_text(json.dumps(sums))
            uploads = [Upload(path, path.name, sums[path.name]) for path in files]
            uploads.append(Upload(listing, INDEX, artifacts.sha256_of(listing)))
            if self._users:
                size = sum(path.stat().st_size for path in files)
                self._users.write(f"{fingerprint}{PROGRESS}", [it.path for it in uploads], size)
            store.publish(uploads, INDEX, [name for name in stale if name not in sums])
            stale = list(sums)

        return place, keep

    def forget(self, fingerprint: str) -> None:
        """Remove a stage's intermediate checkpoint, when its output is complete."""
        shutil.rmtree(self._local / f"{KEPT}{fingerprint}", ignore_errors=True)
        store = self._remote(f"{fingerprint}{PROGRESS}") if self._remote else None
        if store and store.find(INDEX):
            store.withdraw(_listed(store), INDEX)
            if self._users:
                self._users.forget(f"{fingerprint}{PROGRESS}")

    def _restore(self, store: Store, place: Path) -> None:
        """Fetch an intermediate checkpoint of another pod; discard an incomplete copy."""
        if store.find(INDEX) is None:
            return
        try:
            listed: dict[str, str] = artifacts.decode(store.read(INDEX))
            for name, sha256 in listed.items():
                entry = store.find(name)
                if entry is None or store.download(entry, place / Path(name).name, silent) != sha256:
                    raise ValueError(f"{name} differs")
        except (ValueError, AttributeError, InvalidInput) as error:
            LOG.warning("the intermediate checkpoint %s is damaged, and the stage starts again: %s", store.url, error)
            shutil.rmtree(place)
            place.mkdir()

    def has(self, fingerprint: str) -> bool:
        """Return whether there is a complete output, without fetching it."""
        if (self._local / fingerprint / artifacts.MARKER).is_file():
            return True
        return self._remote is not None and self._remote(fingerprint).find(artifacts.MARKER) is not None

    def get(self, fingerprint: str, advance: Advance = silent) -> Artifact | None:
        """Return the output with each file verified; None if it is missing or damaged."""
        place = self._local / fingerprint
        if place.is_dir():
            verified = self._verified(place, place, advance)
            if verified:
                return verified
            shutil.rmtree(place)
        if not self._remote or not self._remote(fingerprint).find(artifacts.MARKER):
            return None
        store = self._remote(fingerprint)
        partial = self.begin(fingerprint)
        with room_on(partial, "workdir", WORK_REMEDY):
            fetched = self._fetched(store, partial, advance)
        if fetched is None:
            shutil.rmtree(partial)
            return None
        fetched.path.rename(place)
        return artifacts.load(place)

    def _fetched(self, store: Store, partial: Path, advance: Advance) -> Artifact | None:
        content = store.read(artifacts.MARKER)
        try:
            listed = artifacts.parse(artifacts.decode(content), partial)
        except (ValueError, ArtifactDamaged) as error:
            LOG.warning("checkpoint %s is damaged and will be created again: %s", store.url, error)
            return None
        for file in listed.files:
            entry = store.find(file.path)
            try:
                sha256 = store.download(entry, partial / file.path, advance) if entry else ""
            except InvalidInput as error:
                LOG.warning("checkpoint %s cannot be read and will be created again: %s", store.url, error)
                return None
            if sha256 != file.sha256:
                LOG.warning("checkpoint %s is damaged and will be created again: %s differs", store.url, file.path)
                return None
        try:
            require_own_files(partial)  # another writer of the store may have made this checkpoint
        except InvalidInput as error:
            LOG.warning("checkpoint %s is not used and will be created again: %s", store.url, error)
            return None
        (partial / artifacts.MARKER).write_bytes(content)
        return artifacts.load(partial)

    def _verified(self, place: Path, shown: Path, advance: Advance) -> Artifact | None:
        try:
            artifact = artifacts.load(place)
            artifacts.verify(artifact, advance)
        except ArtifactDamaged as error:
            LOG.warning("checkpoint %s is damaged and will be created again: %s", shown, error)
            return None
        return artifact


def _listed(store: Store) -> list[str]:
    """Return the names of the files in a store of kept files."""
    if store.find(INDEX) is None:
        return []
    try:
        return [str(name) for name in artifacts.decode(store.read(INDEX))]
    except (ValueError, TypeError):
        return []
