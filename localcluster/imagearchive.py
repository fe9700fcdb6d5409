"""Container images of one layer, written without a builder."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

FORMAT = 2
"""Version of the archives. Increase it when write() changes them, so that they are written again."""

_BLOCK = 1 << 20


def write(
    target: Path, name: str, layer: Path, *, command: Sequence[str] = (), environment: Sequence[str] = ()
) -> None:
    """Write an archive for `ctr images import` (the format of `docker save`) of one uncompressed layer."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": list(environment), "Cmd": list(command) or None},
            # buildah refuses a layer without a history entry once images are built on it.
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "localcluster"}],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    unfinished = target.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as archive:
        archive.add(layer, "layer.tar")
        _add(archive, "config.json", config)
        _add(archive, "manifest.json", manifest)
    unfinished.rename(target)


def layer_of(target: Path, files: dict[str, Path]) -> Path:
    """Write a layer with these executables at these absolute paths."""
    with tarfile.open(target, "w") as archive:
        for path, source in files.items():
            _add(archive, path.lstrip("/"), source.read_bytes(), mode=0o755)
    return target


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
