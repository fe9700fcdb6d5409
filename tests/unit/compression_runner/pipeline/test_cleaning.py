"""Expired files of a job are removed, if no other job needs them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compression_runner.artifact import seal
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.cleaning import clean, space_used
from compression_runner.pipeline.run_locations import OutputLocations, outputs_of
from compression_runner.storage import Stores
from compression_runner.storage.directory import DirectoryStore
from compressionjob.retention import RETAINED
from compressionjob.spec import CompressionJob, parse_job
from tests.support import manifests

FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
FOLDER = "models/minilm-checkpoints"
DAY = 24 * 3600


class Killed(BaseException):
    """The pod is killed."""


def manifest() -> CompressionJob:
    """A job that writes checkpoints to FOLDER."""
    return parse_job(manifests.job(spec__output={"destination": "pvc://models/minilm"}))


def locations_of(root: Path, uid: str) -> OutputLocations:
    """Return the output locations of the job with this uid: one folder for all jobs."""
    return outputs_of(manifest().spec, Stores(claims=root, job=uid))


def keep(root: Path, uid: str, *fingerprints: str, content: bytes = b"weights") -> None:
    """Run a job that uses these checkpoints, and creates missing ones."""
    outputs = locations_of(root, uid)
    outputs.users.use(fingerprints)
    checkpoints = Checkpoints(root / f"work-{uid}", outputs.checkpoint, outputs.users)
    for fingerprint in fingerprints:
        if checkpoints.get(fingerprint) is None:
            place = checkpoints.begin(fingerprint)
            (place / "model.onnx").write_bytes(content)
            checkpoints.commit(fingerprint, seal(place, "onnx", "onnx"))


def report(root: Path, uid: str, **more: str) -> None:
    """The reports of a job."""
    reports = locations_of(root, uid).reports
    files = {"report.json": json.dumps({"job": {"uid": uid}}), "report.html": "<p>", "report.md": "#"} | more
    for name, content in files.items():
        reports.write(name, content.encode())


def left(root: Path, folder: str = FOLDER) -> list[str]:
    """Return the files below a folder of the claim."""
    below = root / folder
    return sorted(path.relative_to(below).as_posix() for path in below.rglob("*"))


def test_a_job_removes_the_checkpoints_that_it_wrote(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST, SECOND)
    assert space_used(locations_of(tmp_path, "u-1"), "u-1").checkpoint_bytes == 14
    assert clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"]).checkpoint_bytes == 0
    assert left(tmp_path) == []


def test_a_checkpoint_that_another_job_uses_is_kept_until_that_job_is_cleaned_up(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST, SECOND)
    keep(tmp_path, "u-2", SECOND)
    space = clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert space.checkpoint_bytes == 7
    assert f"{SECOND}/artifact.json" in left(tmp_path)
    assert FIRST not in left(tmp_path)
    clean(locations_of(tmp_path, "u-2"), "u-2", ["checkpoints"])
    assert left(tmp_path) == []


def test_a_checkpoint_that_a_job_only_registered_is_kept_for_it(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    locations_of(tmp_path, "u-2").users.use([FIRST])
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert f"{FIRST}/model.onnx" in left(tmp_path)


def deleted(root: Path, uid: str, days: float, lifetime: str = "") -> None:
    """Let a job's last pod have written its registration some days ago."""
    at = outputs_of(manifest().spec, Stores({"COMPRESSION_CHECKPOINT_LIFETIME": lifetime}, claims=root, job=uid))
    at.users.write(THIRD, ["model.onnx"], 8)
    registration = root / FOLDER / "users" / f"{uid}.json"
    content = json.loads(registration.read_text())
    registration.write_text(json.dumps(content | {"time": content["time"] - days * DAY}))


@pytest.mark.parametrize(
    ("days", "known", "kept"),
    [
        (91, ["other"], False),
        (89, ["other"], True),  # another operator may have the job
        (91, ["other", "u-2"], True),
        (91, [], True),  # an older operator, or too many jobs
    ],
)
def test_a_deleted_job_does_not_keep_the_checkpoints_of_others_for_ever(
    days: float, known: list[str], kept: bool, tmp_path: Path
) -> None:
    keep(tmp_path, "u-1", FIRST)
    keep(tmp_path, "u-2", FIRST, THIRD)
    deleted(tmp_path, "u-2", days)
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"], known)
    assert (f"{FIRST}/model.onnx" in left(tmp_path)) is kept
    # Without a lifetime a job's own checkpoints are kept, also when it is deleted.
    assert f"{THIRD}/model.onnx" in left(tmp_path)


@pytest.mark.parametrize(("lifetime", "kept"), [("1h", False), ("4800h", True), ("", True)])
def test_checkpoints_of_a_deleted_job_end_with_their_lifetime(lifetime: str, kept: bool, tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    keep(tmp_path, "u-2", THIRD)
    deleted(tmp_path, "u-2", 100, lifetime)
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"], ["u-1"])
    assert (f"{THIRD}/model.onnx" in left(tmp_path)) is kept
    assert ("users/u-2.json" in left(tmp_path)) is kept


def test_a_registration_of_an_older_runner_does_not_end(tmp_path: Path) -> None:
    """It does not say when it was written."""
    keep(tmp_path, "u-1", FIRST)
    keep(tmp_path, "u-2", FIRST)
    registration = tmp_path / FOLDER / "users" / "u-2.json"
    content = json.loads(registration.read_text())
    del content["time"]
    registration.write_text(json.dumps(content))
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"], ["u-1"])
    assert f"{FIRST}/model.onnx" in left(tmp_path)


def test_a_pod_that_goes_on_shows_that_its_job_is_there(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    deleted(tmp_path, "u-1", 91)
    keep(tmp_path, "u-1", FIRST)
    content = json.loads((tmp_path / FOLDER / "users" / "u-1.json").read_text())
    assert time.time() - content["time"] < DAY


def test_an_unregistered_checkpoint_of_an_older_runner_stays(tmp_path: Path) -> None:
    keep(tmp_path, "", FIRST)
    keep(tmp_path, "u-1", FIRST, SECOND)
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == [FIRST, f"{FIRST}/artifact.json", f"{FIRST}/model.onnx"]


def test_a_users_file_in_the_folder_of_a_checkpoint_stays(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    (tmp_path / FOLDER / FIRST / "notes.txt").write_text("mine")
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == [FIRST, f"{FIRST}/notes.txt"]


def test_intermediate_checkpoints_are_removed_too(tmp_path: Path) -> None:
    outputs = locations_of(tmp_path, "u-1")
    kept, save = Checkpoints(tmp_path / "work", outputs.checkpoint, outputs.users).keeping(FIRST)
    (kept / "epoch-3").write_bytes(b"half")
    save()
    assert f"{FIRST}-progress/epoch-3" in left(tmp_path)
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == []


def test_an_incomplete_checkpoint_of_a_killed_pod_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(DirectoryStore, "_swap", die)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            keep(tmp_path, "u-1", FIRST)
    assert any("-new-" in name for name in left(tmp_path))
    clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == []


def killing(step: int) -> Callable[..., None]:
    """Return a removal of files that kills the pod after the n-th file."""
    remove, done = DirectoryStore.remove, [0]

    def removing(self: DirectoryStore, path: str) -> None:
        if done[0] == step:
            raise Killed
        done[0] += 1
        remove(self, path)

    return removing


@pytest.mark.parametrize("step", range(8))
def test_a_pod_killed_at_any_file_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    keep(tmp_path, "u-1", FIRST, SECOND)
    keep(tmp_path, "u-2", THIRD)
    report(tmp_path, "u-1")
    with monkeypatch.context() as patch:
        patch.setattr(DirectoryStore, "remove", killing(step))
        with pytest.raises(Killed):
            clean(locations_of(tmp_path, "u-1"), "u-1", RETAINED)
    clean(locations_of(tmp_path, "u-1"), "u-1", RETAINED)
    expected = [THIRD, f"{THIRD}/artifact.json", f"{THIRD}/model.onnx", "users", "users/u-2.json"]
    assert left(tmp_path) == expected
    assert left(tmp_path, "models/minilm-report") == []


def test_cleaning_twice_is_no_error(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    for _ in range(2):
        clean(locations_of(tmp_path, "u-1"), "u-1", RETAINED)
    assert left(tmp_path) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema": 2}', b'{"schema": 1, "uses": [], "wrote": {"x": 1}}'])
def test_an_unreadable_file_of_another_job_prevents_removal(tmp_path: Path, content: bytes) -> None:
    keep(tmp_path, "u-1", FIRST)
    (tmp_path / FOLDER / "users" / "u-2.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"u-2\.json, which lists the checkpoints"):
        clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert f"{FIRST}/model.onnx" in left(tmp_path)


def test_no_path_leads_out_of_the_checkpoints(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    victim = tmp_path / "models" / "victim"
    victim.write_text("theirs")
    entry = {FIRST: {"files": ["../../victim"], "sizeBytes": 1}}
    forged = {"schema": 1, "uses": [], "wrote": {}, "released": entry}
    (tmp_path / FOLDER / "users" / "u-2.json").write_text(json.dumps(forged))
    with pytest.raises(InvalidInput, match="leads out"):
        clean(locations_of(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert victim.read_text() == "theirs"


def test_only_reports_of_this_job_are_removed(tmp_path: Path) -> None:
    crash = "Crash report\n\nJob\n---\ndefault/minilm, uid u-1\n"
    report(tmp_path, "u-1", **{"notes.txt": "mine", "crash-report.txt": crash})
    assert space_used(locations_of(tmp_path, "u-1"), "u-1").report_bytes > 0
    assert clean(locations_of(tmp_path, "u-1"), "u-1", ["reports"]).report_bytes == 0
    assert left(tmp_path, "models/minilm-report") == ["notes.txt"]


def test_reports_that_another_job_has_written_since_stay(tmp_path: Path) -> None:
    report(tmp_path, "u-2", **{"report.held.json": json.dumps({"job": {"uid": "u-1"}})})
    clean(locations_of(tmp_path, "u-1"), "u-1", ["reports"])
    assert left(tmp_path, "models/minilm-report") == ["report.html", "report.json", "report.md"]


def test_the_published_model_is_counted_and_never_removed(tmp_path: Path) -> None:
    published = tmp_path / "models" / "minilm"
    published.mkdir(parents=True)
    (published / "model.onnx").write_bytes(b"weights")
    seal(published, "onnx", "onnx").with_provenance({"job": {"uid": "u-1"}})
    keep(tmp_path, "u-1", FIRST)
    assert clean(locations_of(tmp_path, "u-1"), "u-1", RETAINED).result_bytes == 7
    assert left(tmp_path, "models/minilm") == ["artifact.json", "model.onnx"]
    assert space_used(locations_of(tmp_path, "u-2"), "u-2").result_bytes == 0
