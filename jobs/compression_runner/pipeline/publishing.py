"""Publish the result at its destination: complete, with its provenance, or not at all."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact, ArtifactDamaged
from compression_runner.errors import WORK_REMEDY, InvalidInput, room_on
from compression_runner.storage import Advance, Store, silent


def publish(
    artifact: Artifact,
    provenance: Mapping[str, Any],
    destination: Store,
    existing: Mapping[str, Any] | None,
    scratch: Path,
    advance: Advance = silent,
) -> Artifact:
    """Upload the artifact, with its provenance in artifact.json, to the destination; artifact.json comes last.

    Raises StorageUnavailable or DiskFull, after it has removed the uploaded files.
    """
    published = replace(artifact, provenance=provenance)
    marker = scratch / "published.json"
    with room_on(marker, "workdir", WORK_REMEDY):
        marker.write_text(json.dumps(published.to_json(), indent=2, sort_keys=True) + "\n")
    destination.publish(published.uploads(marker), artifacts.MARKER, stale=files_of(existing), advance=advance)
    return published


def holds(destination: Store, existing: Mapping[str, Any] | None, artifact: Artifact) -> bool:
    """Return whether the destination has exactly this artifact: its artifact.json, and each file with its checksum."""
    try:
        listed = artifacts.parse(existing, artifact.path)
    except ArtifactDamaged:
        return False
    if listed.digest != artifact.digest:
        return False
    for file in artifact.files:
        entry = destination.find(file.path)
        if entry is None or entry.size != file.size or destination.checksum(entry) != file.sha256:
            return False
    return True


def withdraw(destination: Store, is_own: Callable[[Mapping[str, Any] | None], bool]) -> None:
    """Remove an artifact that this job published in an earlier run, after its verdict has changed.

    `is_own` checks the artifact.json at the destination; no other artifact is removed.
    """
    entry = destination.find(artifacts.MARKER)
    existing = existing_artifact(destination)
    if entry is not None and is_own(existing):
        destination.withdraw(files_of(existing), artifacts.MARKER, entry.tag)


def existing_artifact(destination: Store) -> dict[str, Any] | None:
    """Return the content of artifact.json at the destination: empty if it is invalid, None if it is missing."""
    if destination.find(artifacts.MARKER) is None:
        return None
    try:
        content = artifacts.decode(destination.read(artifacts.MARKER))
    except ValueError:
        return {}
    except InvalidInput:
        # Another writer may have removed it; an unreadable file is not a missing one.
        if destination.find(artifacts.MARKER) is None:
            return None
        raise
    return content if _is_shaped(content) else {}


def files_of(existing: Mapping[str, Any] | None) -> list[str]:
    """Return the paths that an artifact.json lists."""
    files = (existing or {}).get("files", [])
    return [str(file["path"]) for file in files if artifacts.is_path(str(file.get("path", "")))]


def _is_shaped(content: object) -> bool:
    """Return whether untrusted content has the expected structure."""
    if not isinstance(content, dict):
        return False
    provenance, files = content.get("provenance", {}), content.get("files", [])
    if not isinstance(provenance, dict) or not isinstance(files, list):
        return False
    return (
        all(isinstance(file, dict) for file in files)
        and isinstance(provenance.get("job", {}), dict)
        and isinstance(provenance.get("fingerprint", ""), str)
    )
