"""A result that another version held is published by this one after its approval."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from compression_runner import artifact as artifacts
from compression_runner.errors import InvalidInput
from compression_runner.pipeline import publishing
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.report_files import digest_of
from compression_runner.pipeline.reviewed import publish_reviewed
from compression_runner.pipeline.run import Run
from compression_runner.pipeline.run_locations import RunLocations
from compression_runner.storage.directory import DirectoryStore
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compressionjob.report import JudgedResult
from compressionjob.review import ReviewOutcome
from compressionjob.spec import parse_job
from tests.support.manifests import job
from tests.support.reports import REPORT_V1

REVIEW = ReviewOutcome(
    name="first", reviewer="rita@example.com", decision="Approve", reason="the report is read", time="2026-11-25"
)


@pytest.fixture
def held() -> dict[str, Any]:
    """The report of a version that did not write some keys, and wrote others."""
    report: dict[str, Any] = json.loads(REPORT_V1.read_text())
    del report["environment"]["noise"], report["environment"]["memoryFloorBytes"]
    del report["provenance"]["givenUp"], report["provenance"]["source"]["identity"]
    del report["artifact"]["packing"]
    report["provenance"]["site"] = {"name": "north"}
    report["artifact"]["files"][0]["mode"] = 420
    return report


@pytest.fixture
def run(tmp_path: Path, held: dict[str, Any]) -> Run:
    """The job of the held report, with the report and the checkpoint of its result."""
    checkpoints = Checkpoints(tmp_path / "work" / "checkpoints", None)
    folder = checkpoints.begin(held["artifact"]["fingerprint"])
    (folder / "model.onnx.zst").write_bytes(b"packed")
    (folder / "config.json").write_bytes(b"{}")
    checkpoints.commit(held["artifact"]["fingerprint"], artifacts.seal(folder, "onnx", "text-embedding"))
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "report.json").write_text(json.dumps(held))
    manifest = job()
    manifest["metadata"]["uid"] = held["job"]["uid"]
    places = RunLocations(
        workdir=tmp_path / "work",
        model=DirectoryStore("file:///model", tmp_path / "model", "spec.model.source"),
        models={},
        data={},
        destination=DirectoryStore("file:///out", tmp_path / "out", "spec.output.destination"),
        reports=DirectoryStore("file:///reports", reports, "spec.output.reports"),
        remote=None,
        overwrite=False,
    )
    return Run(parse_job(manifest), places, RunProgress(), RunMetrics())


@pytest.fixture
def judged(run: Run, held: dict[str, Any], tmp_path: Path) -> JudgedResult:
    """The judged result in the job's status."""
    fingerprint = held["artifact"]["fingerprint"]
    kept = artifacts.load(tmp_path / "work" / "checkpoints" / fingerprint)
    digest = digest_of((tmp_path / "reports" / "report.json").read_bytes())
    return JudgedResult(digest=kept.digest, checkpoint=fingerprint, report_digest=digest)


def test_the_held_result_is_published_with_its_full_report(
    run: Run, judged: JudgedResult, held: dict[str, Any], tmp_path: Path
) -> None:
    publish_reviewed(run, REVIEW, judged)
    provenance = held["provenance"] | {"review": REVIEW.to_json()}
    assert json.loads((tmp_path / "out" / "artifact.json").read_text())["provenance"] == provenance
    report = json.loads((tmp_path / "reports" / "report.json").read_text())
    assert (report["published"], report["held"], report["review"]) == (True, False, REVIEW.to_json())
    assert report["provenance"] == provenance
    assert report["artifact"] == held["artifact"] | {"uri": "file:///out"}
    assert (report["job"], report["environment"]) == (held["job"], held["environment"])


def test_temporary_files_are_in_the_work_directory_until_the_run_ends(
    run: Run, judged: JudgedResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, within = tempfile.tempdir, []
    real = publishing.publish

    def publish(*args: Any) -> None:
        within.append(tempfile.gettempdir())
        real(*args)

    monkeypatch.setattr(publishing, "publish", publish)
    publish_reviewed(run, REVIEW, judged)
    assert within == [str(tmp_path / "work" / "scratch" / "tmp")]
    assert tempfile.tempdir == before


def test_a_second_attempt_after_the_publication_has_the_same_result(
    run: Run, judged: JudgedResult, tmp_path: Path
) -> None:
    first = publish_reviewed(run, REVIEW, judged)
    marker = (tmp_path / "out" / "artifact.json").stat().st_mtime_ns
    assert publish_reviewed(run, REVIEW, judged) == first
    assert (tmp_path / "out" / "artifact.json").stat().st_mtime_ns == marker


def test_a_second_attempt_with_a_damaged_destination_publishes_again(
    run: Run, judged: JudgedResult, tmp_path: Path
) -> None:
    publish_reviewed(run, REVIEW, judged)
    (tmp_path / "out" / "model.onnx.zst").write_bytes(b"pAcked")
    publish_reviewed(run, REVIEW, judged)
    assert (tmp_path / "out" / "model.onnx.zst").read_bytes() == b"packed"


def test_a_report_that_was_changed_after_the_verdict_publishes_nothing(
    run: Run, judged: JudgedResult, held: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "reports" / "report.json").write_text(json.dumps(held | {"sentence": "all is well"}))
    with pytest.raises(InvalidInput, match="no longer the one that was reviewed") as caught:
        publish_reviewed(run, REVIEW, judged)
    assert (caught.value.field, "run the job again" in caught.value.remedy) == ("spec.output.reports", True)
    assert not (tmp_path / "out").exists()


def test_a_report_that_says_published_does_not_replace_the_publication(
    run: Run, judged: JudgedResult, held: dict[str, Any], tmp_path: Path
) -> None:
    forged = held | {"published": True, "held": False, "artifact": held["artifact"] | {"digest": "sha256:forged"}}
    (tmp_path / "reports" / "report.json").write_text(json.dumps(forged))
    report = publish_reviewed(run, REVIEW, judged.model_copy(update={"report_digest": ""}))
    assert report.artifact.digest == judged.digest
    assert json.loads((tmp_path / "out" / "artifact.json").read_text())["digest"] == judged.digest


def test_the_checkpoint_must_be_the_judged_one(run: Run, judged: JudgedResult, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not the result that was reviewed"):
        publish_reviewed(run, REVIEW, judged.model_copy(update={"digest": "sha256:other"}))
    (tmp_path / "work" / "checkpoints" / judged.checkpoint / "model.onnx.zst").write_bytes(b"pAcked")
    with pytest.raises(InvalidInput, match="is gone"):
        publish_reviewed(run, REVIEW, judged)
    assert not (tmp_path / "out").exists()


def test_for_a_job_held_by_an_older_operator_the_report_names_the_checkpoint(
    run: Run, judged: JudgedResult, tmp_path: Path
) -> None:
    publish_reviewed(run, REVIEW, JudgedResult(digest=judged.digest))
    assert json.loads((tmp_path / "out" / "artifact.json").read_text())["digest"] == judged.digest


@pytest.mark.parametrize("fingerprint", ["../../elsewhere", "", "/etc"])
def test_a_report_cannot_name_an_invalid_checkpoint(
    run: Run, judged: JudgedResult, held: dict[str, Any], tmp_path: Path, fingerprint: str
) -> None:
    held["artifact"]["fingerprint"] = fingerprint
    (tmp_path / "reports" / "report.json").write_text(json.dumps(held))
    with pytest.raises(InvalidInput, match="is gone"):
        publish_reviewed(run, REVIEW, JudgedResult(digest=judged.digest))


def test_another_jobs_report_publishes_nothing(
    run: Run, judged: JudgedResult, held: dict[str, Any], tmp_path: Path
) -> None:
    del held["job"]["uid"]
    (tmp_path / "reports" / "report.json").write_text(json.dumps(held))
    with pytest.raises(InvalidInput, match="was reviewed"):
        publish_reviewed(run, REVIEW, JudgedResult(digest=judged.digest))
    assert not (tmp_path / "out" / "artifact.json").exists()
