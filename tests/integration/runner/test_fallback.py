"""A pipeline whose last stage breaks quality: the earlier stage is published, and no stage runs again."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runner.conftest import (
    Bucket,
    Ended,
    ask,
    end_of,
    environment,
    manifest,
    run_pod,
    start_pod,
    text_manifest,
)

SLIGHT = {"name": "slight", "prune": {"sparsity": "0.05"}}
BROKEN = {"name": "two-bits", "quantize": {"method": "weight-only", "dtype": "int2", "algorithm": "rtn"}}
LIMITS = {"quality": {"metric": "cosine", "maxDrop": "0.01"}, "onViolation": "Fallback"}


@pytest.fixture(autouse=True)
def _clean(bucket: Bucket) -> None:
    for prefix in ("out", "out-report", "out-checkpoints"):
        bucket.delete(prefix)


def job_of(bucket: Bucket, *stages: dict[str, Any]) -> dict[str, Any]:
    return manifest(bucket.server.endpoint, pipeline=list(stages), sla=LIMITS)


def runs(ended: Ended) -> list[str]:
    """Return the steps that a pod ran, from its log."""
    said = [json.loads(line) for line in ended.log.splitlines()]
    return [line["stage"] for line in said if line.get("method") and "seconds" in line]


def checkpoints(bucket: Bucket) -> dict[str, str]:
    listed = bucket.client.list_objects_v2(Bucket="models", Prefix="out-checkpoints/").get("Contents", [])
    return {item["Key"]: f"{item['ETag']} {item['LastModified']}" for item in listed}


def test_the_earlier_stage_is_published_after_a_failed_verdict(bucket: Bucket, tmp_path: Path) -> None:
    job = text_manifest(bucket.server.endpoint, pipeline=[SLIGHT, BROKEN, {"pack": {}}], sla=LIMITS)
    ended = run_pod(environment(bucket.server, job, tmp_path / "work"))
    assert ended.status == 0, ended.log
    assert ended.summary is not None
    assert (ended.summary.verdict, ended.summary.published) == ("Pass", True)
    assert "published the model of stage slight" in ended.summary.fallback
    report = json.loads(bucket.read("out-report/report.json"))
    assert [stage["name"] for stage in report["stages"]] == ["slight", "export"]
    fallback = report["fallback"]
    assert (fallback["verdict"], fallback["givenUp"]) == ("Fail", ["two-bits", "pack"])
    assert fallback["objectives"][0]["low"] > 0.01
    assert fallback["figures"]["sizeBytes"] < report["compressed"]["sizeBytes"]
    assert report["objectives"][0]["high"] <= 0.01
    # Two results may be judged, each with one limit.
    assert (fallback["results"], report["environment"]["intervalConfidence"]) == (2, 0.975)
    published = json.loads(bucket.read("out/artifact.json"))
    assert published["digest"] == ended.summary.digest == report["artifact"]["digest"]
    assert published["packing"] is None
    assert published["provenance"]["fingerprint"] == report["stages"][-1]["fingerprint"]
    assert published["provenance"]["verdict"] == "Pass"
    # Each stage has run once; the published result is the export that was the quantization's input.
    assert runs(ended) == ["export", "slight", "export", "two-bits", "pack"]


def test_a_pod_killed_while_measuring_a_candidate_resumes(bucket: Bucket, tmp_path: Path) -> None:
    job = job_of(bucket, SLIGHT, BROKEN)
    variables = environment(bucket.server, job, tmp_path / "first")
    process = start_pod(variables)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if json.loads(ask(variables, "/progress"))["stage"] == "measure slight":
                break
        except OSError:
            pass
        time.sleep(0.05)
    process.kill()
    assert end_of(process, variables).status == -signal.SIGKILL
    assert bucket.keys("out") == []
    before = checkpoints(bucket)

    ended = run_pod(environment(bucket.server, job, tmp_path / "second"))
    assert ended.summary is not None, ended.log
    assert ended.summary.verdict == "Pass"
    assert (ended.summary.stages_run, ended.summary.stages_reused) == (0, 1)
    assert checkpoints(bucket) == before

    # A restarted pod measures again, and keeps the artifact at the destination.
    again = run_pod(environment(bucket.server, job, tmp_path / "third"))
    assert again.summary is not None, again.log
    assert again.summary.digest == ended.summary.digest
    assert "already has this result" in again.log


def test_nothing_is_published_if_no_earlier_result_passes(bucket: Bucket, tmp_path: Path) -> None:
    hard = {"name": "hard", "prune": {"sparsity": "0.9"}}
    ended = run_pod(environment(bucket.server, job_of(bucket, hard, BROKEN), tmp_path / "work"))
    assert ended.summary is not None, ended.log
    assert (ended.summary.verdict, ended.summary.published, ended.summary.fallback) == ("Fail", False, "")
    assert bucket.keys("out") == []
    report = json.loads(bucket.read("out-report/report.json"))
    (candidate,) = report["fallback"]["candidates"]
    assert (candidate["stage"], candidate["verdict"], candidate["measured"]) == ("hard", "Fail", True)
    assert [stage["name"] for stage in report["stages"]] == ["hard", "two-bits"]
