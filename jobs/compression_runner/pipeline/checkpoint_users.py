"""Who uses which checkpoints of a folder that jobs share: one small file per job, ``users/<uid>.json``.

A job registers what it will use before it looks for it, and what it writes before it writes it. After the job's end its
Clean pod releases both; a checkpoint that a job has released and no job uses is removed. So nothing is removed that no
job of this project wrote, and a pod that is killed at any moment leaves all that the next one needs.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from compression_runner import artifact as artifacts
from compression_runner.errors import InvalidInput
from compression_runner.storage import Store
from compressionjob.conditions import INVALID_INPUT

FOLDER: Final = "users"
SUFFIX: Final = ".json"
PROGRESS: Final = "-progress"
"""After a fingerprint: the folder of what a long stage keeps on the way."""
FIELD: Final = "spec.output.checkpoints"
_NAME: Final = re.compile(rf"([0-9a-f]{{32,64}})({PROGRESS})?")


@dataclass(frozen=True)
class Written:
    """The files of one checkpoint, by their paths below its folder, and their bytes."""

    files: tuple[str, ...]
    size: int

    def to_json(self) -> dict[str, Any]:
        """The entry as the file has it."""
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
    """What one job uses, what it wrote, and what it wrote and has released."""

    uses: set[str] = field(default_factory=set)
    wrote: dict[str, Written] = field(default_factory=dict)
    released: dict[str, Written] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether the job has nothing to do with any checkpoint."""
        return not self.uses and not self.wrote and not self.released

    @property
    def fingerprints(self) -> set[str]:
        """The checkpoints that must not be removed because of this job."""
        return self.uses | {fingerprint_of(name) for name in self.wrote}

    def to_content(self) -> bytes:
        """The content of the job's file."""
        entries = {"wrote": self.wrote, "released": self.released}
        listed = {key: {name: it.to_json() for name, it in written.items()} for key, written in entries.items()}
        return (
            json.dumps({"schema": 1, "uses": sorted(self.uses), **listed}, indent=1, sort_keys=True) + "\n"
        ).encode()

    @classmethod
    def of(cls, content: bytes) -> "Usage":
        """Read a job's file. Raises ValueError for one that this version does not understand."""
        data = artifacts.decode(content)
        try:
            if data["schema"] != 1 or not all(_NAME.fullmatch(name) for name in (*data["wrote"], *data["released"])):
                raise ValueError("it is of another schema")
            wrote, released = (
                {name: Written.of(item) for name, item in data[key].items()} for key in ("wrote", "released")
            )
            return cls({str(name) for name in data["uses"]}, wrote, released)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it lacks a part") from error


class CheckpointUsers:
    """The file of one job in a folder of checkpoints, and those of the others. Without a uid nothing is registered."""

    def __init__(self, store: Store, job: str) -> None:
        self._store = store
        self._name = f"{job}{SUFFIX}" if job else ""
        self._own: Usage | None = None

    def use(self, fingerprints: Collection[str]) -> None:
        """Register checkpoints that this job will look for, make or publish."""
        if not set(fingerprints) <= self.own.uses:
            self.own.uses |= set(fingerprints)
            self._save()

    def write(self, name: str, files: Collection[str], size: int) -> None:
        """Register a checkpoint that this job is about to write; what it wrote there before stays registered."""
        before = self.own.wrote.get(name)
        entry = Written(tuple(sorted({*files, *(before.files if before else ())})), size)
        if entry != before:
            self.own.wrote[name] = entry
            self._save()

    def forget(self, name: str) -> None:
        """Note that this job has removed what it wrote."""
        if self.own.wrote.pop(name, None) is not None:
            self._save()

    @property
    def own(self) -> Usage:
        """What this job uses and wrote, other pods of it included."""
        if self._own is None:
            self._own = self._read(self._name) if self._name and self._store.find(self._name) else Usage()
        return self._own

    def release(self) -> None:
        """Let go of everything: the job has ended."""
        if self.own.uses or self.own.wrote:
            self.own.released |= self.own.wrote
            self.own.uses, self.own.wrote = set(), {}
            self._save()

    def others(self) -> Iterator[tuple[str, Usage]]:
        """The files of all other jobs, by name. Raises InvalidInput for one that cannot be read."""
        for name in self._names():
            if name.endswith(SUFFIX) and name != self._name:
                yield name, self._read(name)

    def replace(self, name: str, usage: Usage) -> None:
        """Write another job's file anew: something that it had released is gone."""
        self._put(name, usage)

    def released(self) -> Iterator[tuple[str, Usage]]:
        """The files of jobs that have released checkpoints, this one's first."""
        if self._name:
            yield self._name, self.own
        yield from ((name, usage) for name, usage in self.others() if usage.released)

    def _save(self) -> None:
        if self._name:
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
            remedy = "remove it if that job is gone; its checkpoints are then nobody's and stay"
            raise InvalidInput(INVALID_INPUT, FIELD, self._store.url, problem, remedy) from error


def fingerprint_of(name: str) -> str:
    """Return the fingerprint of a checkpoint's folder, or of the folder of what its stage keeps on the way."""
    return name.removesuffix(PROGRESS)
