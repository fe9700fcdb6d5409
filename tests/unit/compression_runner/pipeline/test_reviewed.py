"""A result that was held by another version of this project is published by this one once it is approved."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from compression_runner import artifact as artifacts
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.places import Places
from compression_runner.pipeline.reviewed import publish_reviewed
from compression_runner.pipeline.run import Run
from compression_runner.storage.directory import DirectoryStore
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
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
def run(tmp_path: Path, held: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The job of the held report, with the report and the checkpoint of its result."""
    monkeypatch.setattr(tempfile, "tempdir", None)
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
    places = Places(
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


def test_the_held_result_is_published_and_nothing_of_its_report_is_lost(
    run: Run, held: dict[str, Any], tmp_path: Path
) -> None:
    publish_reviewed(run, REVIEW)
    provenance = held["provenance"] | {"review": REVIEW.to_json()}
    assert json.loads((tmp_path / "out" / "artifact.json").read_text())["provenance"] == provenance
    report = json.loads((tmp_path / "reports" / "report.json").read_text())
    assert (report["published"], report["held"], report["review"]) == (True, False, REVIEW.to_json())
    assert report["provenance"] == provenance
    assert report["artifact"] == held["artifact"] | {"uri": "file:///out"}
    assert (report["job"], report["environment"]) == (held["job"], held["environment"])


@pytest.mark.parametrize(("section", "key"), [("job", "uid"), ("artifact", "fingerprint"), ("artifact", "digest")])
def test_a_report_that_does_not_say_what_was_reviewed_publishes_nothing(
    run: Run, held: dict[str, Any], tmp_path: Path, section: str, key: str
) -> None:
    del held[section][key]
    (tmp_path / "reports" / "report.json").write_text(json.dumps(held))
    with pytest.raises(InvalidInput, match="was reviewed"):
        publish_reviewed(run, REVIEW)
    assert not (tmp_path / "out" / "artifact.json").exists()
