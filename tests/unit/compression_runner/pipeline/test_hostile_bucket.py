"""An author with write access to the bucket cannot make a pod publish another model, or end with a traceback."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compression_runner import artifact as artifacts
from compression_runner.errors import InvalidInput, RunnerError
from compression_runner.pipeline import publishing
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.earlier import measuring_before
from compression_runner.pipeline.preflight import is_from
from compression_runner.pipeline.report_files import digest_of
from compression_runner.pipeline.reviewed import publish_reviewed
from compression_runner.pipeline.run import Run
from compression_runner.storage.directory import DirectoryStore
from compression_runner.storage.store import Advance, Entry, silent
from compressionjob.report import JudgedResult
from tests.unit.compression_runner.pipeline.test_reviewed import REVIEW, held, judged, run  # noqa: F401
from tests.unit.compression_runner.test_artifact import documented_digest

FILE: dict[str, Any] = {"path": "a", "sizeBytes": 1, "sha256": "0" * 64, "weights": True}
GOOD: dict[str, Any] = {
    "schema": 1, "format": "onnx", "task": "text-embedding", "packing": None, "files": [], "provenance": {},
}  # fmt: skip
DEEP = '{"a":' + "[" * 200_000


def swallowed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the same digest without a file: the list is in the name of the task."""
    lines = [f"{file['sha256']} {file['sizeBytes']} {file['path']}" for file in content["files"]]
    return content | {"task": "\n".join([content["task"], *lines]), "files": []}


def test_a_list_of_files_in_another_field_is_no_list(run: Run, judged: JudgedResult, tmp_path: Path) -> None:  # noqa: F811
    marker = tmp_path / "work" / "checkpoints" / judged.checkpoint / "artifact.json"
    marker.write_text(json.dumps(swallowed(json.loads(marker.read_text()))))
    with pytest.raises(InvalidInput):
        publish_reviewed(run, REVIEW, judged)


def test_the_pages_script_refuses_it_too(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.onnx").write_bytes(b"weights")
    artifacts.seal(model, "onnx", "text-embedding")
    marker = model / "artifact.json"
    marker.write_text(json.dumps(swallowed(json.loads(marker.read_text()))))
    (model / "model.onnx").write_bytes(b"malware")
    with pytest.raises(subprocess.CalledProcessError):
        documented_digest(tmp_path, model)


@pytest.mark.parametrize("forged", [False, True])
def test_the_packing_must_match_the_reviewed_report(
    run: Run,  # noqa: F811
    judged: JudgedResult,  # noqa: F811
    held: dict[str, Any],  # noqa: F811
    tmp_path: Path,
    forged: bool,
) -> None:
    kept = artifacts.load(tmp_path / "work" / "checkpoints" / judged.checkpoint)
    held["artifact"] |= {"packing": None, "files": [file.to_json() for file in kept.files]}
    report = tmp_path / "reports" / "report.json"
    report.write_text(json.dumps(held))
    pinned = judged.model_copy(update={"report_digest": digest_of(report.read_bytes())})
    if not forged:
        publish_reviewed(run, REVIEW, pinned)
        return
    marker = kept.path / "artifact.json"
    content = json.loads(marker.read_text())
    content["packing"] = {"codec": "zstd", "files": {"model.onnx.zst": FILE | {"path": "evil.onnx"}}}
    marker.write_text(json.dumps(content))
    with pytest.raises(InvalidInput):
        publish_reviewed(run, REVIEW, pinned)


HOSTILE = [
    json.dumps({"provenance": None}),
    json.dumps({"provenance": "x"}),
    json.dumps({"provenance": {"fingerprint": ["x"]}}),
    json.dumps({"provenance": {"job": "x"}}),
    json.dumps({"files": [1]}),
    json.dumps({"files": None}),
    json.dumps(GOOD | {"files": [FILE | {"sizeBytes": "x"}]}),
    json.dumps(GOOD | {"files": [FILE | {"sizeBytes": 1e999}]}),
    json.dumps(GOOD | {"format": 5}),
    json.dumps(GOOD | {"files": [FILE | {"path": "\ud800"}]}),
    DEEP,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: str(text)[:40])
def test_any_content_at_the_destination_gives_a_clear_error(
    run: Run,  # noqa: F811
    judged: JudgedResult,  # noqa: F811
    tmp_path: Path,
    text: str,
) -> None:
    place = tmp_path / "out" / "artifact.json"
    overwriting = replace(run, locations=replace(run.locations, overwrite=True))
    looks: list[Callable[[], object]] = [
        lambda: publish_reviewed(run, REVIEW, judged),
        lambda: publishing.withdraw(run.locations.destination, lambda existing: is_from(existing, run.job)),
        lambda: publish_reviewed(overwriting, REVIEW, judged),
    ]
    for look in looks:
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
        with suppress(RunnerError):  # it names field and remedy
            look()


def test_an_unreadable_old_report_does_not_stop_a_run(run: Run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "reports" / "report.json").write_text("[" * 200_000)
    assert measuring_before(run.job, run.locations.reports) == {}


class Remote:
    """A checkpoint in a bucket."""

    url = "s3://models/out-checkpoints/f"

    def __init__(self, content: dict[str, bytes]) -> None:
        self._content = content

    def find(self, path: str) -> Entry | None:
        """Return one object."""
        return Entry(path, len(self._content[path]), "t") if path in self._content else None

    def read(self, path: str) -> bytes:
        """Its content."""
        return self._content[path]

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Write it to a file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._content[entry.path])
        return hashlib.sha256(self._content[entry.path]).hexdigest()


@pytest.mark.parametrize("names", [["a", "a/b"], ["n" * 300], ["a\0b"], ["."], ["a", "a"], ["artifact.json"]], ids=str)
def test_a_checkpoint_with_invalid_names_is_created_again(tmp_path: Path, names: list[str]) -> None:
    sha256 = hashlib.sha256(b"1").hexdigest()
    files = tuple(artifacts.File(name, 1, sha256, weights=True) for name in names)
    marker = artifacts.Artifact(tmp_path, "onnx", "text-embedding", files).to_json()
    content = dict.fromkeys(names, b"1") | {"artifact.json": json.dumps(marker).encode()}
    remote: Any = Remote(content)
    assert Checkpoints(tmp_path / "work", lambda _: remote).get("f" * 40) is None


def test_a_checkpoint_with_settings_that_name_files_is_created_again(tmp_path: Path) -> None:
    model = tmp_path / "remote" / "abc"
    model.mkdir(parents=True)
    (model / "tokenizer_config.json").write_text('{"vocab": "/proc/self/environ"}')
    artifacts.seal(model, "onnx", "text-embedding")
    store = DirectoryStore("file:///remote", model, "spec.output.checkpoints")
    assert Checkpoints(tmp_path / "work", lambda _fingerprint: store).get("abc") is None
    (model / "tokenizer_config.json").write_text("{}")
    artifacts.seal(model, "onnx", "text-embedding")
    assert Checkpoints(tmp_path / "work", lambda _fingerprint: store).get("abc") is not None
