"""Files whose lifetime is over are removed: those of this job, which no other needs, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compression_runner.artifact import seal
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.cleaning import clean, space_used
from compression_runner.pipeline.places import OutputPlaces, outputs_of
from compression_runner.storage import Stores
from compression_runner.storage.directory import DirectoryStore
from compressionjob.retention import RETAINED
from compressionjob.spec import parse_job
from tests.support import manifests

FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
FOLDER = "models/minilm-checkpoints"


class Killed(BaseException):
    """The pod is killed."""


def places(root: Path, uid: str) -> OutputPlaces:
    """Where a job of this uid writes: one folder for all."""
    job = parse_job(manifests.job(spec__output={"destination": "pvc://models/minilm"}))
    return outputs_of(job.spec, Stores(claims=root, job=uid))


def keep(root: Path, uid: str, *fingerprints: str, content: bytes = b"weights") -> None:
    """A run of a job that uses these checkpoints, and makes those that are not there."""
    at = places(root, uid)
    at.users.use(fingerprints)
    checkpoints = Checkpoints(root / f"work-{uid}", at.checkpoint, at.users)
    for fingerprint in fingerprints:
        if checkpoints.get(fingerprint) is None:
            place = checkpoints.begin(fingerprint)
            (place / "model.onnx").write_bytes(content)
            checkpoints.commit(fingerprint, seal(place, "onnx", "onnx"))


def report(root: Path, uid: str, **more: str) -> None:
    """The reports of a job."""
    reports = places(root, uid).reports
    files = {"report.json": json.dumps({"job": {"uid": uid}}), "report.html": "<p>", "report.md": "#"} | more
    for name, content in files.items():
        reports.write(name, content.encode())


def left(root: Path, folder: str = FOLDER) -> list[str]:
    """The files below a folder of the claim."""
    below = root / folder
    return sorted(path.relative_to(below).as_posix() for path in below.rglob("*"))


def test_a_job_removes_the_checkpoints_that_it_wrote(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST, SECOND)
    assert space_used(places(tmp_path, "u-1"), "u-1").checkpoint_bytes == 14
    assert clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"]).checkpoint_bytes == 0
    assert left(tmp_path) == []


def test_a_checkpoint_that_another_job_uses_is_kept_until_that_job_is_cleaned_up(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST, SECOND)
    keep(tmp_path, "u-2", SECOND)
    space = clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert space.checkpoint_bytes == 7
    assert f"{SECOND}/artifact.json" in left(tmp_path)
    assert FIRST not in left(tmp_path)
    clean(places(tmp_path, "u-2"), "u-2", ["checkpoints"])
    assert left(tmp_path) == []


def test_a_checkpoint_that_a_job_only_registered_is_kept_for_it(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    places(tmp_path, "u-2").users.use([FIRST])
    clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert f"{FIRST}/model.onnx" in left(tmp_path)


def test_a_checkpoint_of_an_older_runner_is_nobodys_to_remove(tmp_path: Path) -> None:
    keep(tmp_path, "", FIRST)
    keep(tmp_path, "u-1", FIRST, SECOND)
    clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == [FIRST, f"{FIRST}/artifact.json", f"{FIRST}/model.onnx"]


def test_a_users_file_in_the_folder_of_a_checkpoint_stays(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    (tmp_path / FOLDER / FIRST / "notes.txt").write_text("mine")
    clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == [FIRST, f"{FIRST}/notes.txt"]


def test_what_a_stage_kept_on_its_way_goes_as_well(tmp_path: Path) -> None:
    at = places(tmp_path, "u-1")
    kept, save = Checkpoints(tmp_path / "work", at.checkpoint, at.users).keeping(FIRST)
    (kept / "epoch-3").write_bytes(b"half")
    save()
    assert f"{FIRST}-progress/epoch-3" in left(tmp_path)
    clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == []


def test_a_half_written_checkpoint_of_a_killed_pod_goes_as_well(
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
    clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert left(tmp_path) == []


def killing(step: int) -> Callable[..., None]:
    """A removal of one file that is the last thing before the pod is killed, at the n-th file."""
    remove, done = DirectoryStore.remove, [0]

    def removing(self: DirectoryStore, path: str) -> None:
        if done[0] == step:
            raise Killed
        done[0] += 1
        remove(self, path)

    return removing


@pytest.mark.parametrize("step", range(8))
def test_a_pod_that_is_killed_at_any_file_leaves_what_the_next_one_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    keep(tmp_path, "u-1", FIRST, SECOND)
    keep(tmp_path, "u-2", THIRD)
    report(tmp_path, "u-1")
    with monkeypatch.context() as patch:
        patch.setattr(DirectoryStore, "remove", killing(step))
        with pytest.raises(Killed):
            clean(places(tmp_path, "u-1"), "u-1", RETAINED)
    clean(places(tmp_path, "u-1"), "u-1", RETAINED)
    expected = [THIRD, f"{THIRD}/artifact.json", f"{THIRD}/model.onnx", "users", "users/u-2.json"]
    assert left(tmp_path) == expected
    assert left(tmp_path, "models/minilm-report") == []


def test_cleaning_twice_is_no_error(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    for _ in range(2):
        clean(places(tmp_path, "u-1"), "u-1", RETAINED)
    assert left(tmp_path) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema": 2}', b'{"schema": 1, "uses": [], "wrote": {"x": 1}}'])
def test_nothing_is_removed_where_another_jobs_file_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    keep(tmp_path, "u-1", FIRST)
    (tmp_path / FOLDER / "users" / "u-2.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"u-2\.json, which lists the checkpoints"):
        clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert f"{FIRST}/model.onnx" in left(tmp_path)


def test_no_path_leads_out_of_the_checkpoints(tmp_path: Path) -> None:
    keep(tmp_path, "u-1", FIRST)
    victim = tmp_path / "models" / "victim"
    victim.write_text("theirs")
    entry = {FIRST: {"files": ["../../victim"], "sizeBytes": 1}}
    forged = {"schema": 1, "uses": [], "wrote": {}, "released": entry}
    (tmp_path / FOLDER / "users" / "u-2.json").write_text(json.dumps(forged))
    with pytest.raises(InvalidInput, match="leads out"):
        clean(places(tmp_path, "u-1"), "u-1", ["checkpoints"])
    assert victim.read_text() == "theirs"


def test_reports_of_this_job_go_and_other_files_stay(tmp_path: Path) -> None:
    crash = "Crash report\n\nJob\n---\ndefault/minilm, uid u-1\n"
    report(tmp_path, "u-1", **{"notes.txt": "mine", "crash-report.txt": crash})
    assert space_used(places(tmp_path, "u-1"), "u-1").report_bytes > 0
    assert clean(places(tmp_path, "u-1"), "u-1", ["reports"]).report_bytes == 0
    assert left(tmp_path, "models/minilm-report") == ["notes.txt"]


def test_reports_that_another_job_has_written_since_stay(tmp_path: Path) -> None:
    report(tmp_path, "u-2", **{"report.held.json": json.dumps({"job": {"uid": "u-1"}})})
    clean(places(tmp_path, "u-1"), "u-1", ["reports"])
    assert left(tmp_path, "models/minilm-report") == ["report.html", "report.json", "report.md"]


def test_the_published_model_is_counted_and_never_removed(tmp_path: Path) -> None:
    published = tmp_path / "models" / "minilm"
    published.mkdir(parents=True)
    (published / "model.onnx").write_bytes(b"weights")
    seal(published, "onnx", "onnx").with_provenance({"job": {"uid": "u-1"}})
    keep(tmp_path, "u-1", FIRST)
    assert clean(places(tmp_path, "u-1"), "u-1", RETAINED).result_bytes == 7
    assert left(tmp_path, "models/minilm") == ["artifact.json", "model.onnx"]
    assert space_used(places(tmp_path, "u-2"), "u-2").result_bytes == 0
