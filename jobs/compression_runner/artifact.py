"""A model directory with `artifact.json`, which lists its files; it is written last, so its presence means complete."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, get_args

from compression_runner.errors import Problem
from compression_runner.storage.store import Upload, silent
from compressionjob.spec import Task

MARKER: Final = "artifact.json"
SCHEMA: Final = 1
MAX_NAME: Final = 255
BLOCK: Final = 1 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

Format = Literal["transformers", "torch", "onnx", "openvino", "torch-export", "compressed-tensors", "modelopt", "gguf"]
"""torch: a Transformers directory whose modules have been changed (surgery.json); it lives within a pipeline only.
compressed-tensors: a Transformers directory with weights of few bits, for vLLM.
modelopt: a Transformers directory with linear layers in FP8, for vLLM.
gguf: a source in llama.cpp's format, which is imported before the first stage."""
PUBLISHABLE: Final[frozenset[Format]] = frozenset(
    {"transformers", "onnx", "openvino", "torch-export", "compressed-tensors", "modelopt"}
)


class ArtifactDamaged(Problem):
    """A directory does not match its artifact.json."""


@dataclass(frozen=True)
class File:
    """One file of an artifact. `weights` marks weight and graph files, whose sizes add up to the model's size."""

    path: str
    size: int
    sha256: str
    weights: bool

    def to_json(self) -> dict[str, Any]:
        """Return the file's entry in artifact.json."""
        return {"path": self.path, "sizeBytes": self.size, "sha256": self.sha256, "weights": self.weights}


@dataclass(frozen=True)
class Packing:
    """The codec of packed files, and each packed file with the file that it unpacks to."""

    codec: str
    originals: Mapping[str, File]

    def to_json(self) -> dict[str, Any]:
        """Return the packing's entry in artifact.json."""
        return {"codec": self.codec, "files": {path: file.to_json() for path, file in self.originals.items()}}


@dataclass(frozen=True)
class Artifact:
    """A sealed model directory."""

    path: Path
    format: Format
    task: Task
    files: tuple[File, ...]
    packing: Packing | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 over format, task and every file's path, size and sha256: the same content has the same digest."""
        lines = [self.format, self.task, *(f"{file.sha256} {file.size} {file.path}" for file in self.files)]
        return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"

    @property
    def size_bytes(self) -> int:
        """Bytes of the weight and graph files on disk: the packed size of packed files."""
        return sum(file.size for file in self.files if file.weights)

    @property
    def model_file(self) -> Path:
        """The graph of an unpacked ONNX or OpenVINO artifact."""
        return self.path / next(file.path for file in self.files if file.path.endswith((".onnx", ".xml")))

    def to_json(self) -> dict[str, Any]:
        """Return the content of artifact.json."""
        return {
            "schema": SCHEMA,
            "format": self.format,
            "task": self.task,
            "digest": self.digest,
            "sizeBytes": self.size_bytes,
            "files": [file.to_json() for file in self.files],
            "packing": self.packing.to_json() if self.packing else None,
            "provenance": dict(self.provenance),
        }

    def with_provenance(self, provenance: Mapping[str, Any]) -> "Artifact":
        """Replace the provenance, and write it to artifact.json."""
        artifact = replace(self, provenance=provenance)
        _write_marker(artifact)
        return artifact

    def uploads(self, marker: Path | None = None) -> list[Upload]:
        """Return the uploads of all files, with artifact.json (or `marker` in its place) last."""
        marker = marker or self.path / MARKER
        sealed = Upload(marker, MARKER, sha256_of(marker))
        return [*(Upload(self.path / file.path, file.path, file.sha256) for file in self.files), sealed]


def seal(
    path: Path, format: Format, task: Task, packing: Packing | None = None, weights: Collection[str] = ()
) -> Artifact:
    """List and hash every file below `path`, and write artifact.json.

    The names of files decide which ones count as weights; `weights` adds more.
    """
    counted = {*weights, *(packing.originals if packing else ())}
    places = (place for place in path.rglob("*") if place.is_file() and place != path / MARKER)
    files = [_file(path, place, counted) for place in places]
    artifact = Artifact(path, format, task, tuple(sorted(files, key=lambda file: file.path)), packing)
    _write_marker(artifact)
    return artifact


def load(path: Path) -> Artifact:
    """Read a sealed directory without checking its files.

    Raises ArtifactDamaged if artifact.json is missing or unreadable.
    """
    try:
        return parse(decode((path / MARKER).read_bytes()), path)
    except (OSError, ValueError) as error:
        raise ArtifactDamaged(f"{path / MARKER} cannot be read: {error}") from error


def decode(content: bytes) -> Any:
    """Decode JSON from an untrusted place. Raises ValueError for invalid JSON, or if it is nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse(content: object, path: Path) -> Artifact:
    """Return the artifact at `path` from the content of its artifact.json.

    Raises ArtifactDamaged if the content is invalid, or its digest does not match its list of files.
    """
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ArtifactDamaged(f"{MARKER} is not of schema {SCHEMA}")
    # Format, task and paths are lines of the digest: a value with several lines could forge entries of files.
    if content.get("format") not in get_args(Format) or content.get("task") not in get_args(Task):
        raise ArtifactDamaged(f"{MARKER} has the format {content.get('format')!r} and the task {content.get('task')!r}")
    try:
        packing = content["packing"]
        artifact = Artifact(
            path=path,
            format=content["format"],
            task=content["task"],
            files=tuple(_parse_file(item) for item in content["files"]),
            packing=Packing(str(packing["codec"]), {name: _parse_file(item) for name, item in packing["files"].items()})
            if packing
            else None,
            provenance=dict(content["provenance"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ArtifactDamaged(f"{MARKER} lacks or misstates {error}") from error
    names = [file.path for file in artifact.files]
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    if len({*names}) != len(names) or folders & {*names} or MARKER in names:
        raise ArtifactDamaged(f"{MARKER} names a path twice")
    if artifact.digest != content.get("digest"):
        raise ArtifactDamaged(f"{MARKER} says digest {content.get('digest')}, its list has {artifact.digest}")
    return artifact


def verify(artifact: Artifact, advance: Callable[[int], None] = silent) -> None:
    """Compare every file with its size and sha256.

    Raises ArtifactDamaged with the first file that differs.
    """
    for file in artifact.files:
        place = artifact.path / file.path
        if not place.is_file() or place.stat().st_size != file.size:
            raise ArtifactDamaged(f"{place} is missing or not of {file.size} bytes")
        if sha256_of(place) != file.sha256:
            raise ArtifactDamaged(f"{place} does not have the sha256 {file.sha256}")
        advance(file.size)


def is_weights(path: str) -> bool:
    """Return whether a file counts for the model's size: weights and graphs, with external data, packed or not."""
    name = path.rsplit("/", 1)[-1]
    kinds = (".safetensors", ".onnx", ".pt2", "model.xml", "model.bin")
    return any(part in name for part in kinds) and not name.endswith(".json")


def is_path(path: str) -> bool:
    """Return whether this is a relative path below a directory, without control characters."""
    parts = path.split("/")
    if any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in path):
        return False
    return all(part not in ("", ".", "..") and len(part.encode()) <= MAX_NAME for part in parts)


def sha256_of(place: Path) -> str:
    """Return the sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with place.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _file(root: Path, place: Path, counted: Collection[str]) -> File:
    path = place.relative_to(root).as_posix()
    return File(path, place.stat().st_size, sha256_of(place), path in counted or is_weights(path))


def _parse_file(item: Mapping[str, Any]) -> File:
    path, sha256 = str(item["path"]), str(item["sha256"])
    # artifact.json may come from a store that others write to.
    if not is_path(path):
        raise ArtifactDamaged(f"{MARKER} names {path!r}, which is no path below the directory")
    if not _SHA256.fullmatch(sha256):
        raise ArtifactDamaged(f"{MARKER} has no SHA-256 for {path!r}")
    return File(path, int(item["sizeBytes"]), sha256, bool(item["weights"]))


def _write_marker(artifact: Artifact) -> None:
    text = json.dumps(artifact.to_json(), indent=2, sort_keys=True) + "\n"
    fresh = artifact.path / f".{MARKER}"
    fresh.write_text(text)
    fresh.replace(artifact.path / MARKER)
