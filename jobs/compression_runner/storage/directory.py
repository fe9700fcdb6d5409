"""Files of this machine: `file://` and mounted claims (`pvc://`)."""

import errno
import glob
import hashlib
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from compression_runner.errors import WORK_REMEDY, InvalidInput, StorageUnavailable, room_on, taken
from compression_runner.storage.directory_lock import Locked, locked
from compression_runner.storage.durable import remove_empty, sync, write_synced
from compression_runner.storage.store import Advance, Entry, Upload, silent

LOG: Final = logging.getLogger(__name__)
BLOCK: Final = 1 << 20
ROOM_REMEDY: Final = "free some room there, or name another destination"
LOCAL: Final = "local"
SWAPS: Final = 10
# Errors of a network file system while its server is down.
AWAY: Final = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN)


class DirectoryStore:
    """A directory, or a single file; files outside of it are never touched."""

    def __init__(self, url: str, root: Path, field: str, job: str = "", *, shared: bool = False) -> None:
        self._url = url
        self._root = root
        self._field = field
        self._job = job
        # Part of the names of temporary folders, which use hyphens as separators.
        self._owner = re.sub(r"[^A-Za-z0-9.]", "", job) or LOCAL
        self._shared = shared

    @property
    def url(self) -> str:
        """The location as the user wrote it."""
        return self._url

    def list(self) -> Sequence[Entry]:
        """Return every file below the root, except hidden ones."""
        if self._root.is_file():
            return [self._entry(self._root.name, self._root)]
        if not self._root.is_dir():
            raise self._invalid(
                "SourceNotFound", self._root.name, "there is no such file or directory", "correct the path"
            )
        with self._explained(""):
            return sorted(self._walk(), key=lambda entry: entry.path)

    def _walk(self) -> Iterator[Entry]:
        for folder, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            # os.walk does not follow links to folders; links that lead outside are refused.
            for name in folders:
                self._confined(Path(folder) / name)
            for name in names:
                if not name.startswith("."):
                    place = Path(folder) / name
                    yield self._entry(place.relative_to(self._root).as_posix(), place)

    def find(self, path: str) -> Entry | None:
        """Return one file, or None."""
        place = self._place(path)
        return self._entry(path, place) if place.is_file() else None

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of one file."""
        place = self._confined(self._place(path))
        with self._explained(path), place.open("rb") as file:
            file.seek(start)
            return file.read() if length is None else file.read(length)

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Copy one file and return its sha256."""
        place = self._confined(self._place(entry.path))
        digest = hashlib.sha256()
        with self._explained(entry.path), room_on(target, "workdir", WORK_REMEDY):
            target.parent.mkdir(parents=True, exist_ok=True)
            with place.open("rb") as source, target.open("wb") as sink:
                while block := source.read(BLOCK):
                    digest.update(block)
                    sink.write(block)
                    advance(len(block))
        return digest.hexdigest()

    def checksum(self, entry: Entry, advance: Advance = silent) -> str:
        """Read one file without storing it, and return its sha256."""
        place = self._confined(self._place(entry.path))
        digest = hashlib.sha256()
        with self._explained(entry.path), place.open("rb") as source:
            while block := source.read(BLOCK):
                digest.update(block)
                advance(len(block))
        return digest.hexdigest()

    def write(self, path: str, content: bytes) -> None:
        """Write one small file atomically, by a rename."""
        place = self._place(path)
        with self._explained(path), room_on(place, self._field, ROOM_REMEDY):
            place.parent.mkdir(parents=True, exist_ok=True)
            fresh = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
            try:
                write_synced(fresh, content)
                fresh.replace(place)
                sync(place.parent)
            finally:
                fresh.unlink(missing_ok=True)

    def publish(
        self, files: Sequence[Upload], marker: str, stale: Sequence[str] = (), advance: Advance = silent
    ) -> None:
        """Fill a directory next to the destination, and rename it into place.

        Raises StorageUnavailable if another process is publishing there.
        """
        with self._explained(""), room_on(self._root, self._field, ROOM_REMEDY):
            self._root.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                fresh = self._beside("new")
                fresh.mkdir()
                try:
                    # The marker is last, as in a store without renames: an incomplete directory never has one.
                    for upload in sorted(files, key=lambda item: item.path == marker):
                        self._copy(upload, fresh, advance)
                    sync(fresh)
                    self._swap(fresh)
                except FileNotFoundError as error:
                    if fresh.exists():
                        raise
                    raise taken(self._field, self._url, "another pod of this job has begun anew") from error
                finally:
                    shutil.rmtree(fresh, ignore_errors=True)

    def require_replaceable(self, marker: str) -> None:
        """Refuse a directory with other files: publishing replaces the whole directory."""
        if self._root.is_dir() and not (self._root / marker).is_file() and any(self._root.iterdir()):
            problem, remedy = f"files without {marker} lie there", "name a directory that is new or empty"
            raise self._invalid("DestinationNotEmpty", self._root.name, problem, remedy)
        if self._root.exists() and not self._root.is_dir():
            raise self._invalid("DestinationNotEmpty", self._root.name, "it is a file", "name a directory")

    def require_writable(self) -> None:
        """Do nothing: a volume reports errors when it is written."""

    def withdraw(self, paths: Sequence[str], marker: str, tag: str | None = None) -> None:
        """Remove an artifact with its directory."""
        if not self._root.is_dir():
            return
        with self._explained(""), self._alone():
            entry = self.find(marker)
            if tag is None or (entry is not None and entry.tag == tag):
                self.remove(marker)
                shutil.rmtree(self._root, ignore_errors=True)

    def discard(self, paths: Sequence[str], marker: str) -> None:
        """Remove these files, the marker first, and then empty folders."""
        for path in sorted(paths, key=lambda path: path != marker):
            self.remove(path)
        remove_empty(self._root, paths)
        with self._explained(""):
            self._sweep()

    def remove(self, path: str) -> None:
        """Remove one file; a missing file is not an error."""
        with self._explained(path):
            self._place(path).unlink(missing_ok=True)

    def _copy(self, upload: Upload, fresh: Path, advance: Advance) -> None:
        target = fresh / upload.path
        # Do not create `fresh` itself: if another pod has removed it, the files copied before are missing.
        for folder in reversed(Path(upload.path).parents[:-1]):
            (fresh / folder).mkdir(exist_ok=True)
        digest = hashlib.sha256()
        with upload.source.open("rb") as source, target.open("wb") as sink:
            while block := source.read(BLOCK):
                digest.update(block)
                sink.write(block)
                advance(len(block))
            sink.flush()
            os.fsync(sink.fileno())
        if digest.hexdigest() != upload.sha256:
            raise self._invalid(
                "ChecksumMismatch", upload.path, "it changed while it was published", "run the job again"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock out other writers, if the file system has locks; several may write the same content (`shared`).

        Removes temporary folders that a killed pod of this job has left next to the destination. Local runs have no
        uid: only the lock shows that no other run is publishing.
        """
        if self._shared:
            if self._job:
                self._sweep()
            yield
            return
        try:
            with locked(self._root, self._job) as alone:
                if alone or self._job:
                    self._sweep()
                yield
        except Locked as error:
            raise taken(self._field, self._url, error.problem) from error

    def _beside(self, kind: str) -> Path:
        return self._root.with_name(f".{self._root.name}-{kind}-{self._owner}-{uuid.uuid4().hex}")

    def _swap(self, fresh: Path) -> None:
        """Rename a directory into place. Without locks, another writer may do the same; the last one wins."""
        for last in (*[False] * (SWAPS - 1), True):
            old = self._beside("old")
            with suppress(FileNotFoundError):
                self._root.rename(old)
            try:
                fresh.rename(self._root)
            except OSError as error:
                if last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    # Put the earlier directory back, or keep it under another name.
                    self._restore(old)
                    raise
            else:
                shutil.rmtree(old, ignore_errors=True)
                sync(self._root.parent)
                return
            shutil.rmtree(old, ignore_errors=True)

    def _restore(self, old: Path) -> None:
        if not old.exists():
            return
        try:
            old.rename(self._root)
        except OSError as error:
            kept = self._root.with_name(f".{self._root.name}-kept-{uuid.uuid4().hex}")
            with suppress(OSError):
                old.rename(kept)
                old = kept
            LOG.error("the earlier files of %s are now at %s (%s)", self._root, old, error)

    def _sweep(self) -> None:
        for kind in ("new", "old"):
            own = f".{glob.escape(self._root.name)}-{kind}-{self._owner}-{'?' * 32}"
            for left in self._root.parent.glob(own):
                # Rename the whole folder first: its pod, if it still runs, must not publish a part of it.
                gone = self._beside("old")
                with suppress(OSError):
                    left.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise self._invalid("SourceNotFound", path, "there is no such file", "correct the path") from error
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                problem = f"access is refused ({os.strerror(error.errno)})"
                remedy = "let the runner's user read or write it"
                raise self._invalid("AccessDenied", path, problem, remedy) from error
            if error.errno in AWAY:
                problem, remedy = (
                    f"the volume does not answer ({os.strerror(error.errno)})",
                    "check the server of the volume",
                )
                raise StorageUnavailable("StorageUnavailable", self._field, self._url, problem, remedy) from error
            raise

    def _entry(self, path: str, place: Path) -> Entry:
        status = self._confined(place).stat()
        return Entry(path, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")

    def _place(self, path: str) -> Path:
        if self._root.is_file() and path == self._root.name:
            return self._root
        place = self._root / path
        if path.startswith("/") or ".." in Path(path).parts:
            raise self._invalid("PathRefused", path, "it leads out of the location", "name a path below it")
        return place

    def _confined(self, place: Path) -> Path:
        """Return `place` if its symlinks do not lead out of the location. Raises InvalidInput otherwise."""
        root = self._root.resolve()
        real = place.resolve()
        if real != root and root not in real.parents:
            raise self._invalid(
                "PathRefused", place, f"the symlink leads out of the location to {real}", "copy the files in (cp -L)"
            )
        return place

    def _invalid(self, reason: str, value: object, problem: str, remedy: str) -> InvalidInput:
        return InvalidInput(reason, self._field, f"{self._url} ({value})", problem, remedy)
