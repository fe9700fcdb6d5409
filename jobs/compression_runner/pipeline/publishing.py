"""The result at its destination: complete, with its provenance, or absent."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact
from compression_runner.errors import WORK_REMEDY, room_on
from compression_runner.storage import Advance, Store, silent


def publish(
    artifact: Artifact,
    provenance: Mapping[str, Any],
    destination: Store,
    existing: Mapping[str, Any] | None,
    scratch: Path,
    advance: Advance = silent,
) -> Artifact:
    """Brings the artifact, with its story in artifact.json, to the destination; artifact.json comes last.

    Raises StorageUnavailable or DiskFull, after it has taken back what had been uploaded.
    """
    told = replace(artifact, provenance=provenance)
    marker = scratch / "published.json"
    with room_on(marker, "workdir", WORK_REMEDY):
        marker.write_text(json.dumps(told.to_json(), indent=2, sort_keys=True) + "\n")
    destination.publish(told.uploads(marker), artifacts.MARKER, stale=files_of(existing), advance=advance)
    return told


def withdraw(destination: Store, existing: Mapping[str, Any] | None) -> None:
    """Takes back what this very job published in a run before, now that its verdict is another."""
    destination.withdraw(files_of(existing), artifacts.MARKER)


def files_of(existing: Mapping[str, Any] | None) -> list[str]:
    """The paths that an artifact.json lists."""
    files = (existing or {}).get("files", [])
    return [str(file["path"]) for file in files if ".." not in str(file.get("path", "..")).split("/")]
