"""Fetch the model and the evaluation data into the work directory, and verify them."""

import shutil
from pathlib import Path
from typing import Final

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact, ArtifactDamaged
from compression_runner.dataset.files import DataFiles
from compression_runner.dataset.rows import Rows, end_of
from compression_runner.errors import InvalidInput
from compression_runner.formats.source.file_references import require_own_files
from compression_runner.formats.source.inspection import FIELD, Source
from compression_runner.storage import Advance, Entry, Readable, silent

DATA_FIELD: Final = "spec.data.evaluation.source"


def fetch_source(store: Readable, source: Source, into: Path, advance: Advance = silent) -> Artifact:
    """Return the source as a sealed directory below `into`; a complete one of an earlier run is reused.

    Raises InvalidInput if a file does not have its checksum of the source, or names files outside of the source.
    """
    place = into / source.identity[:40]
    if (place / artifacts.MARKER).is_file():
        try:
            kept = artifacts.load(place)
            artifacts.verify(kept)
            return kept
        except ArtifactDamaged:
            shutil.rmtree(place)
    partial = into / f".partial-{source.identity[:40]}"
    shutil.rmtree(partial, ignore_errors=True)
    for entry in source.files:
        sha256 = store.download(entry, partial / entry.path, advance)
        _require(store, entry, source.checksums.get(entry.path), sha256)
    require_own_files(partial)
    artifacts.seal(partial, source.format, source.task, weights=source.weights)
    partial.rename(place)
    return artifacts.load(place)


def fetch_data(store: Readable, data: DataFiles, rows: Rows, into: Path, advance: Advance = silent) -> Path:
    """Return the data as a local file of the same name; of a folder, fetch all classes but only files in `rows`."""
    if data.classes is None:
        place = into / Path(data.entries[0].path).name
        store.download(data.entries[0], place, advance)
        return place
    place = into / "folder"
    shutil.rmtree(place, ignore_errors=True)  # an earlier run may have left other files
    for name in data.classes:
        # The classes are numbered by their order: all must exist, even those without a file in `rows`.
        (place / name).mkdir(parents=True, exist_ok=True)
    for entry in data.entries[: end_of(rows)]:
        store.download(entry, place / entry.path, advance)
    return place


def _require(store: Readable, entry: Entry, expected: str | None, sha256: str) -> None:
    if expected is not None and expected != sha256:
        problem = f"its sha256 is {sha256}, and the source says {expected}"
        raise InvalidInput("ChecksumMismatch", FIELD, f"{store.url}/{entry.path}", problem, "upload the file again")
