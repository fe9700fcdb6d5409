"""A job in parts against a real S3 server: stages in one pod, measuring in another, publishing after a review."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.pipeline.report_files import digest_of
from compressionjob.report import JudgedResult
from tests.integration.runner.conftest import Bucket, Ended, environment, manifest, run_pod

REVIEW = {
    "name": "review-a",
    "reviewer": "system:serviceaccount:ml:rita",
    "decision": "Approve",
    "reason": "agrees with what we measured",
    "time": "2026-11-25T10:00:00Z",
}


@pytest.fixture(autouse=True)
def _clean(bucket: Bucket) -> None:
    for prefix in ("out", "out-report", "out-checkpoints"):
        bucket.delete(prefix)


def run_part(bucket: Bucket, workdir: Path, part: str, **changes: Any) -> Ended:
    variables = environment(bucket.server, manifest(bucket.server.endpoint, **changes), workdir)
    return run_pod(variables | {"COMPRESSION_PART": part})


def test_stages_and_measuring_run_in_separate_pods(bucket: Bucket, tmp_path: Path) -> None:
    stages = run_part(bucket, tmp_path / "gpu", "Compress")
    assert stages.status == 0, stages.log
    assert stages.summary is not None
    assert (stages.summary.part, stages.summary.verdict, stages.summary.stages_run) == ("Compress", None, 2)
    assert bucket.keys("out") == []
    assert bucket.keys("out-report") == []
    measured = run_part(bucket, tmp_path / "serving", "Measure")
    assert measured.status == 0, measured.log
    assert measured.summary is not None
    assert (measured.summary.verdict, measured.summary.published) == ("Pass", True)
    assert (measured.summary.stages_run, measured.summary.stages_reused) == (0, 2)
    assert "artifact.json" in bucket.keys("out")


def test_a_held_result_is_published_once_it_is_approved(bucket: Bucket, tmp_path: Path) -> None:
    held = run_part(bucket, tmp_path / "a", "Run", review="Always")
    assert held.status == 0, held.log
    assert held.summary is not None
    assert (held.summary.verdict, held.summary.published, held.summary.held) == ("Pass", False, True)
    assert held.summary.digest.startswith("sha256:")
    assert bucket.keys("out") == []
    assert json.loads(bucket.read("out-report/report.json"))["held"] is True

    published = publish(bucket, tmp_path / "b", held)
    assert published.status == 0, published.log
    assert published.summary is not None
    assert (published.summary.published, published.summary.held) == (True, False)
    assert published.summary.digest == held.summary.digest
    artifact = json.loads(bucket.read("out/artifact.json"))
    assert artifact["digest"] == held.summary.digest
    assert artifact["provenance"]["review"] == REVIEW
    report = json.loads(bucket.read("out-report/report.json"))
    assert (report["published"], report["held"], report["review"]) == (True, False, REVIEW)
    assert published.summary.report_digest == digest_of(bucket.read("out-report/report.json"))
    assert digest_of(bucket.read("out-report/report.held.json")) == held.summary.report_digest
    again = publish(bucket, tmp_path / "c", held)
    assert again.summary is not None
    assert again.summary == published.summary


def publish(bucket: Bucket, workdir: Path, held: Ended) -> Ended:
    """Run a pod that publishes the judged artifact of the operator's input."""
    assert held.summary is not None
    judged = JudgedResult(
        digest=held.summary.digest, checkpoint=held.summary.checkpoint, report_digest=held.summary.report_digest
    )
    documents = {"review": REVIEW, "judged": judged.to_json()}
    variables = environment(bucket.server, manifest(bucket.server.endpoint, review="Always"), workdir, documents)
    return run_pod(variables | {"COMPRESSION_PART": "Publish"})


def test_only_the_reviewed_result_is_published(bucket: Bucket, tmp_path: Path) -> None:
    held = run_part(bucket, tmp_path / "a", "Run", review="Always")
    fingerprint = json.loads(bucket.read("out-report/report.json"))["artifact"]["fingerprint"]
    bucket.delete(f"out-checkpoints/{fingerprint}")
    gone = publish(bucket, tmp_path / "b", held)
    assert gone.status == 2
    assert gone.summary is not None
    assert gone.summary.error is not None
    assert gone.summary.error.field == "spec.output.checkpoints"
    assert "is gone" in gone.summary.error.message
    assert bucket.keys("out") == []


@pytest.mark.parametrize(
    ("given", "missing", "remedy"),
    [
        ({}, "review in ", "CompressionReview"),
        ({"review": REVIEW}, "judged in ", "upgrade the operator"),
    ],
)
def test_without_review_or_judged_input_nothing_is_published(
    bucket: Bucket, tmp_path: Path, given: dict[str, Any], missing: str, remedy: str
) -> None:
    variables = environment(bucket.server, manifest(bucket.server.endpoint, review="Always"), tmp_path / "b", given)
    ended = run_pod(variables | {"COMPRESSION_PART": "Publish"})
    assert ended.status == 2
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.field.startswith(missing)
    assert remedy in ended.summary.error.remedy
    assert bucket.keys("out") == []
