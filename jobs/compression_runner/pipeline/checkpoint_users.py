"""Register which jobs use the checkpoints of a shared folder: one small file per job, ``users/<uid>.json``.

A job registers the checkpoints that it uses before it looks for them, and those that it writes before it writes them.
After the job's end, its Clean pod releases both. A checkpoint is removed if a job has released it and no job uses it.
So only files that jobs of this project wrote are removed, and a pod that is killed leaves a consistent state.

A job that is deleted has no Clean pod. Its registration ends some time after its last pod wrote it. Then it uses
nothing any more, and the checkpoints that it wrote are released if they have a lifetime.
"""

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from compression_runner import artifact as artifacts
from compression_runner.errors import InvalidInput
from compression_runner.storage import Store
from compressionjob.conditions import INVALID_INPUT
from compressionjob.pod_interface import UID_CHARACTERS

FOLDER: Final = "users"
SUFFIX: Final = ".json"
PROGRESS: Final = "-progress"
"""Suffix of a fingerprint: the folder of a long stage's intermediate checkpoint."""
REFRESH: Final = 24 * 3600
"""Seconds after which a pod of the job writes the time into its registration again."""
GONE: Final = 90 * 24 * 3600
"""Seconds after which a job that the operator does not know counts as deleted. It may be another operator's."""
FIELD: Final = "spec.output.checkpoints"
_NAME: Final = re.compile(rf"([0-9a-f]{{32,64}})({PROGRESS})?")


@dataclass(frozen=True)
class Written:
    """The files of one checkpoint, as paths below its folder, and their total bytes."""

    files: tuple[str, ...]
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return the entry for the job's file."""
        return {"files": list(self.files), "sizeBytes": self.size}

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Written":
        """Read an entry. Raises ValueError for a path that leads out of the checkpoint's folder."""
        files = tuple(str(path) for path in item["files"])
        if not all(artifacts.is_path(path) for path in files):
            raise ValueError("a path leads out of the checkpoint")
        return cls(files, int(item["sizeBytes"]))


@dataclass
class Usage:
    """The checkpoints that one job uses, that it wrote, and that it wrote and has released.

    ``time`` is when a pod of the job wrote this last, 0 if that is unknown. ``lifetime`` is how many seconds its
    checkpoints are kept after its end, None for ever.
    """

    uses: set[str] = field(default_factory=set)
    wrote: dict[str, Written] = field(default_factory=dict)
    released: dict[str, Written] = field(default_factory=dict)
    time: float = 0
    lifetime: float | None = None

    @property
    def empty(self) -> bool:
        """Whether the job neither uses nor wrote a checkpoint."""
        return not self.uses and not self.wrote and not self.released

    @property
    def fingerprints(self) -> set[str]:
        """The checkpoints that this job needs, and that must not be removed."""
        return self.uses | {fingerprint_of(name) for name in self.wrote}

    def to_content(self) -> bytes:
        """Return the content of the job's file."""
        entries = {"wrote": self.wrote, "released": self.released}
        listed = {key: {name: it.to_json() for name, it in written.items()} for key, written in entries.items()}
        times = {"time": self.time} | ({} if self.lifetime is None else {"lifetimeSeconds": self.lifetime})
        content = {"schema": 1, "uses": sorted(self.uses), **listed, **times}
        return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def of(cls, content: bytes) -> "Usage":
        """Read a job's file. Raises ValueError for one of an unknown schema."""
        data = artifacts.decode(content)
        try:
            if data["schema"] != 1 or not all(_NAME.fullmatch(name) for name in (*data["wrote"], *data["released"])):
                raise ValueError("it is of another schema")
            wrote, released = (
                {name: Written.of(item) for name, item in data[key].items()} for key in ("wrote", "released")
            )
            lifetime = data.get("lifetimeSeconds")
            times = float(data.get("time", 0)), None if lifetime is None else float(lifetime)
            return cls({str(name) for name in data["uses"]}, wrote, released, *times)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it lacks a part") from error


class CheckpointUsers:
    """The file of one job in a folder of checkpoints, and those of other jobs. A job without a uid has no file.

    ``lifetime`` is how many seconds the job's checkpoints are kept after its end, None for ever.
    """

    def __init__(self, store: Store, job: str, lifetime: float | None = None) -> None:
        self._store = store
        self._lifetime = lifetime
        self._name = f"{job}{SUFFIX}" if job else ""
        self._own: Usage | None = None

    def use(self, fingerprints: Collection[str]) -> None:
        """Register checkpoints that this job will look for, create or publish."""
        if not set(fingerprints) <= self.own.uses or time.time() - self.own.time > REFRESH:
            self.own.uses |= set(fingerprints)
            self._save()

    def write(self, name: str, files: Collection[str], size: int) -> None:
        """Register a checkpoint before this job writes it; files that it wrote before stay registered."""
        before = self.own.wrote.get(name)
        entry = Written(tuple(sorted({*files, *(before.files if before else ())})), size)
        if entry != before:
            self.own.wrote[name] = entry
            self._save()

    def forget(self, name: str) -> None:
        """Unregister a checkpoint that this job has removed."""
        if self.own.wrote.pop(name, None) is not None:
            self._save()

    @property
    def own(self) -> Usage:
        """The checkpoints that all pods of this job use and wrote."""
        if self._own is None:
            self._own = self._read(self._name) if self._name and self._store.find(self._name) else Usage()
        return self._own

    def release(self) -> None:
        """Release all checkpoints: the job has ended."""
        if self.own.uses or self.own.wrote:
            self.own.released |= self.own.wrote
            self.own.uses, self.own.wrote = set(), {}
            self._save()

    def end_deleted(self, known: Collection[str]) -> None:
        """End the registrations of jobs that are deleted: ``known`` are the first characters of the others' uids.

        Where a job's checkpoints have no lifetime, those that it wrote stay registered.
        """
        for name, usage in list(self.others()):
            since = time.time() - usage.time if usage.time else 0
            if name.removesuffix(SUFFIX)[:UID_CHARACTERS] in known or since <= max(GONE, usage.lifetime or 0):
                continue
            ended = Usage(set(), usage.wrote, usage.released, usage.time, usage.lifetime)
            if usage.lifetime is not None:
                ended.wrote, ended.released = {}, usage.released | usage.wrote
            if ended != usage:
                self._put(name, ended)

    def others(self) -> Iterator[tuple[str, Usage]]:
        """Yield the files of all other jobs, by name. Raises InvalidInput for one that cannot be read."""
        for name in self._names():
            if name.endswith(SUFFIX) and name != self._name:
                yield name, self._read(name)

    def replace(self, name: str, usage: Usage) -> None:
        """Rewrite another job's file after a released checkpoint has been removed."""
        self._put(name, usage)

    def released(self) -> Iterator[tuple[str, Usage]]:
        """Yield the files of jobs that have released checkpoints, this one's first."""
        if self._name:
            yield self._name, self.own
        yield from ((name, usage) for name, usage in self.others() if usage.released)

    def _save(self) -> None:
        if self._name:
            self.own.time, self.own.lifetime = round(time.time()), self._lifetime
            self._put(self._name, self.own)

    def _put(self, name: str, usage: Usage) -> None:
        if usage.empty:
            self._store.discard([name], name)
        else:
            self._store.write(name, usage.to_content())

    def _names(self) -> list[str]:
        try:
            return [entry.path for entry in self._store.list()]
        except InvalidInput as error:
            if error.reason == "SourceNotFound":
                return []
            raise

    def _read(self, name: str) -> Usage:
        try:
            return Usage.of(self._store.read(name))
        except ValueError as error:
            problem = f"{name}, which lists the checkpoints of a job, cannot be read: {error}"
            remedy = "remove it if that job is gone; its checkpoints then stay, and belong to no job"
            raise InvalidInput(INVALID_INPUT, FIELD, self._store.url, problem, remedy) from error


def fingerprint_of(name: str) -> str:
    """Return the fingerprint of a folder of a checkpoint or of an intermediate checkpoint."""
    return name.removesuffix(PROGRESS)
