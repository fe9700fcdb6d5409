"""The files of a data source: one table, or a folder of images or recordings."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from compression_runner.dataset.folders import Kind, Listing, listing
from compression_runner.dataset.problems import SOURCE
from compression_runner.dataset.table import READERS
from compression_runner.errors import InvalidInput
from compression_runner.storage import Entry, Readable
from compressionjob.tasks import TASKS, Task

SUFFIXES: Final = tuple(READERS)


@dataclass(frozen=True)
class DataFiles:
    """The files of one source: a single file, or those of a folder in reading order."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...] | None = None
    """The folder's classes; None for a single file."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    @property
    def identity(self) -> str:
        """A value that changes with any file; it needs no read."""
        if self.classes is None:
            return "{0.path} {0.size} {0.tag}".format(self.entries[0])
        lines = "\n".join(f"{entry.path} {entry.size} {entry.tag}" for entry in self.entries)
        return hashlib.sha256(lines.encode()).hexdigest()


def find_data(store: Readable, task: Task, field: str) -> DataFiles:
    """Return the files at a source.

    Raises InvalidInput, with `field`, if there is no readable file, for several tables, and for mixed folders.
    """
    entries = store.list()
    tables = [entry for entry in entries if entry.path.lower().endswith(SUFFIXES)]
    folder = _folder(store, entries, field)
    if folder and tables:
        problem = f"there are both a table ({tables[0].path}) and {folder.kind} files ({folder.files[0]})"
        raise InvalidInput("InvalidData", field, store.url, problem, "name the table, or give the files a folder alone")
    if folder:
        return _of_folder(folder, entries, store, task, field)
    if len(tables) != 1:
        problem = f"there are {len(tables)} files of these types" if tables else "there is no such file"
        remedy = f"name one file that ends in {', '.join(SUFFIXES)}, or a folder of images or recordings"
        raise InvalidInput("InvalidData", field, store.url, problem, remedy)
    if tables[0].size == 0:
        raise InvalidInput("InvalidData", field, store.url, "the file is empty", "give data with at least one row")
    return DataFiles((tables[0],))


def _folder(store: Readable, entries: Sequence[Entry], field: str) -> Listing | None:
    tables = [entry.path for entry in entries if entry.path.lower().endswith(SUFFIXES)]
    try:
        return listing((entry.path for entry in entries if entry.path not in tables), store.url)
    except InvalidInput as error:
        field = error.field.replace(SOURCE, field)
        raise InvalidInput(error.reason, field, error.value, error.problem, error.remedy) from error


def _of_folder(folder: Listing, entries: Sequence[Entry], store: Readable, task: Task, field: str) -> DataFiles:
    content = TASKS[task].content
    if content != folder.kind:
        remedy = f"give {content} data" if content in get_args(Kind) else "give one file"
        problem = f"there are {folder.kind} files, which task {task} does not take"
        raise InvalidInput("InvalidData", field, store.url, problem, f"{remedy}, or correct spec.model.task")
    by_path = {entry.path: entry for entry in entries}
    return DataFiles(tuple(by_path[path] for path in folder.files), folder.classes)
