"""Pods against a real S3 server: verdict, publication, resume, and invalid inputs."""

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runner.conftest import (
    Bucket,
    ask,
    end_of,
    environment,
    manifest,
    run_new_pod,
    run_pod,
    start_pod,
    text_manifest,
)
from tests.support import tiny_models


@pytest.fixture(autouse=True)
def _clean(bucket: Bucket) -> None:
    for prefix in ("out", "out-report", "out-checkpoints"):
        bucket.delete(prefix)


def checkpoint_markers(bucket: Bucket) -> list[str]:
    return [key for key in bucket.keys("out-checkpoints") if key.endswith("/artifact.json")]


def test_a_job_ends_in_a_verdict_and_a_complete_publication(bucket: Bucket, tmp_path: Path) -> None:
    variables = environment(bucket.server, text_manifest(bucket.server.endpoint), tmp_path / "work")
    ended = run_new_pod(variables)
    assert ended.status == 0, ended.log
    assert ended.summary is not None
    assert ended.summary.verdict == "Pass"
    assert ended.summary.published
    assert ended.summary.artifact == "s3://models/out"
    assert (ended.summary.stages_run, ended.summary.stages_reused) == (2, 0)
    published = json.loads(bucket.read("out/artifact.json"))
    assert sorted(file["path"] for file in published["files"]) == [
        key for key in bucket.keys("out") if key != "artifact.json"
    ]
    assert published["digest"] == ended.summary.digest
    assert ended.summary.space is not None
    assert ended.summary.space.result_bytes == sum(file["sizeBytes"] for file in published["files"])
    reports = [bucket.read(f"out-report/{key}") for key in bucket.keys("out-report")]
    assert ended.summary.space.report_bytes == sum(map(len, reports))
    assert ended.summary.space.checkpoint_bytes > ended.summary.space.result_bytes
    assert published["provenance"]["source"]["digest"].startswith("sha256:")
    report = json.loads(bucket.read("out-report/report.json"))
    assert [stage["method"] for stage in report["stages"]] == ["export", "quantize"]
    assert report["compressed"]["sizeBytes"] < report["baseline"]["sizeBytes"]
    assert set(report["compressed"]["latencySeconds"]) == {"p50", "p90", "p99"}
    assert bucket.read("out-report/report.html").startswith(b"<!DOCTYPE html>")
    assert all(json.loads(line)["level"] for line in ended.log.splitlines())


def test_a_pod_of_an_older_operator_reads_its_job_from_a_variable(bucket: Bucket, tmp_path: Path) -> None:
    job = manifest(bucket.server.endpoint)
    variables = environment(bucket.server, job, tmp_path / "work", COMPRESSION_JOB=json.dumps(job))
    ended = run_pod({name: value for name, value in variables.items() if not name.startswith("COMPRESSION_INPUT")})
    assert ended.status == 0, ended.log
    assert ended.summary is not None
    assert (ended.summary.verdict, ended.summary.published) == ("Pass", True)


def test_a_pod_whose_input_was_changed_does_nothing(bucket: Bucket, tmp_path: Path) -> None:
    variables = environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "work")
    place = Path(variables["COMPRESSION_INPUT"])
    place.write_text(place.read_text().replace("s3://models/out", "s3://models/elsewhere"))
    ended = run_pod(variables)
    assert ended.status == 2
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.field == "COMPRESSION_INPUT"
    assert bucket.keys("elsewhere") == []


def test_an_unmet_sla_publishes_nothing_but_the_report(bucket: Bucket, tmp_path: Path) -> None:
    job = manifest(bucket.server.endpoint, sla={"size": {"maxRatio": "0.1"}})
    ended = run_pod(environment(bucket.server, job, tmp_path / "work"))
    assert ended.status == 0, ended.log
    assert ended.summary is not None
    assert (ended.summary.verdict, ended.summary.published) == ("Fail", False)
    assert bucket.keys("out") == []
    assert bucket.keys("out-report") == ["report.html", "report.json", "report.md"]


def test_alert_publishes_despite_the_verdict(bucket: Bucket, tmp_path: Path) -> None:
    job = manifest(bucket.server.endpoint, sla={"size": {"maxRatio": "0.1"}, "onViolation": "Alert"})
    ended = run_pod(environment(bucket.server, job, tmp_path / "work"))
    assert ended.summary is not None
    assert (ended.summary.verdict, ended.summary.published) == ("Fail", True)
    assert json.loads(bucket.read("out/artifact.json"))["provenance"]["verdict"] == "Fail"


def test_a_second_run_takes_the_checkpoints_and_does_not_fetch_the_model(bucket: Bucket, tmp_path: Path) -> None:
    first = run_pod(environment(bucket.server, text_manifest(bucket.server.endpoint), tmp_path / "first"))
    job = text_manifest(bucket.server.endpoint)
    job["metadata"]["uid"] = "u-2"
    second = run_pod(environment(bucket.server, job, tmp_path / "second"))
    assert first.summary is not None
    assert second.summary is not None, second.log
    assert (second.summary.stages_run, second.summary.stages_reused) == (0, 2)
    assert second.summary.digest == first.summary.digest
    assert not (tmp_path / "second" / "scratch" / "source").exists()
    stages = json.loads(bucket.read("out-report/report.json"))["stages"]
    assert [stage["reused"] for stage in stages] == [True, True]


def test_a_restarted_job_measures_again_and_keeps_its_publication(bucket: Bucket, tmp_path: Path) -> None:
    first = run_pod(environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "first"))
    marker = bucket.read("out/artifact.json")
    second = run_pod(environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "second"))
    assert first.summary is not None
    assert second.summary is not None, second.log
    assert (second.summary.stages_run, second.summary.stages_reused) == (0, 2)
    assert (second.summary.verdict, second.summary.published) == ("Pass", True)
    assert second.summary.digest == first.summary.digest
    assert bucket.read("out/artifact.json") == marker
    assert "already has this result" in second.log


def test_a_report_in_the_bucket_is_not_trusted(bucket: Bucket, tmp_path: Path) -> None:
    strict = manifest(bucket.server.endpoint, sla={"size": {"maxRatio": "0.1"}})
    first = run_pod(environment(bucket.server, strict, tmp_path / "first"))
    assert first.summary is not None, first.log
    assert first.summary.verdict == "Fail"
    forged = json.loads(bucket.read("out-report/report.json"))
    forged |= {"verdict": "Pass", "published": True, "sentence": "trust me"}
    forged["artifact"] |= {"digest": "sha256:forged", "uri": "s3://models/out"}
    bucket.client.put_object(Bucket="models", Key="out-report/report.json", Body=json.dumps(forged).encode())
    again = run_pod(environment(bucket.server, strict, tmp_path / "second"))
    assert again.summary is not None, again.log
    assert (again.summary.verdict, again.summary.published, again.summary.digest) == ("Fail", False, "")
    assert bucket.keys("out") == []


def test_a_changed_destination_is_published_again(bucket: Bucket, tmp_path: Path) -> None:
    first = run_pod(environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "first"))
    assert first.summary is not None, first.log
    size = len(bucket.read("out/model.onnx"))
    bucket.client.put_object(Bucket="models", Key="out/model.onnx", Body=bytes(size))
    second = run_pod(environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "second"))
    assert second.summary is not None, second.log
    assert second.summary.published
    listed = {file["path"]: file["sha256"] for file in json.loads(bucket.read("out/artifact.json"))["files"]}
    assert hashlib.sha256(bucket.read("out/model.onnx")).hexdigest() == listed["model.onnx"]


def test_another_artifact_at_the_destination_is_not_changed(bucket: Bucket, tmp_path: Path) -> None:
    other = b'{"schema": 1, "digest": "sha256:other", "files": [{"path": "old.onnx"}]}'
    bucket.client.put_object(Bucket="models", Key="out/artifact.json", Body=other)
    bucket.client.put_object(Bucket="models", Key="out/old.onnx", Body=b"old")
    ended = run_pod(environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "work"))
    assert ended.status == 2
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.field == "spec.output.destination"
    assert "overwrite" in ended.summary.error.remedy
    assert bucket.read("out/artifact.json") == other
    job = manifest(bucket.server.endpoint, output={"destination": "s3://models/out", "overwrite": True})
    replaced = run_pod(environment(bucket.server, job, tmp_path / "again"))
    assert replaced.status == 0, replaced.log
    assert "old.onnx" not in bucket.keys("out")


def test_a_failed_verdict_withdraws_only_its_own_publication(bucket: Bucket, tmp_path: Path) -> None:
    job = manifest(bucket.server.endpoint)
    assert run_pod(environment(bucket.server, job, tmp_path / "first")).status == 0
    before = bucket.keys("out")
    strict = manifest(bucket.server.endpoint, sla={"size": {"maxRatio": "0.1"}})
    strict["metadata"]["uid"] = "u-2"
    assert run_pod(environment(bucket.server, strict, tmp_path / "second")).status == 0
    assert bucket.keys("out") == before
    # As if the pod had been killed between the publication and the report.
    bucket.delete("out-report")
    strict["metadata"]["uid"] = "u-1"
    assert run_pod(environment(bucket.server, strict, tmp_path / "third")).status == 0
    assert bucket.keys("out") == []


def test_a_pod_killed_in_a_stage_resumes_to_the_same_digest(bucket: Bucket, tmp_path: Path) -> None:
    stages = [{"prune": {"sparsity": "0.3"}}, {"quantize": {}}, {"pack": {"codec": "zstd"}}]
    job = manifest(bucket.server.endpoint, pipeline=stages)
    expected = run_pod(environment(bucket.server, job, tmp_path / "reference"))
    assert expected.summary is not None, expected.log
    for prefix in ("out", "out-report", "out-checkpoints"):
        bucket.delete(prefix)
    killed_after = []
    for attempt in range(3):
        variables = environment(bucket.server, job, tmp_path / f"work-{attempt}")
        process = start_pod(variables)
        deadline = time.monotonic() + 120
        while len(checkpoint_markers(bucket)) <= attempt and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        assert end_of(process, variables).status == -signal.SIGKILL
        killed_after.append(len(checkpoint_markers(bucket)))
        assert "artifact.json" not in bucket.keys("out")
    ended = run_pod(environment(bucket.server, job, tmp_path / "last"))
    assert ended.summary is not None, ended.log
    assert ended.summary.digest == expected.summary.digest
    assert ended.summary.stages_reused >= 2
    assert killed_after == sorted(killed_after)


def test_sigterm_ends_the_pod_within_two_seconds(bucket: Bucket, tmp_path: Path) -> None:
    variables = environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "work")
    process = start_pod(variables)
    deadline = time.monotonic() + 120
    while not (tmp_path / "work" / "scratch" / "source").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    begin = time.monotonic()
    process.terminate()
    ended = end_of(process, variables)
    assert ended.status == 143
    assert time.monotonic() - begin < 2
    assert bucket.keys("out") == []


def test_progress_and_metrics_are_served_during_the_run(bucket: Bucket, tmp_path: Path) -> None:
    variables = environment(bucket.server, text_manifest(bucket.server.endpoint), tmp_path / "work")
    process = start_pod(variables)
    seen: set[str] = set()
    fractions: list[float] = []
    metrics = ""
    while process.poll() is None:
        try:
            progress = json.loads(ask(variables, "/progress"))
            metrics = ask(variables, "/metrics")
        except OSError:
            time.sleep(0.05)
            continue
        seen.add(progress["stage"])
        fractions.append(progress["fraction"])
        time.sleep(0.2)
    assert end_of(process, variables).status == 0
    assert {"export", "measure"} <= seen
    assert fractions == sorted(fractions)
    assert 'compression_runner_stage_seconds{method="quantize",stage="quantize"}' in metrics
    assert "compression_runner_progress_ratio" in metrics
    # The metrics must be there before the pod ends, so that they can be scraped.
    for model in ("baseline", "compressed"):
        assert f'compression_runner_latency_seconds_count{{model="{model}"}}' in metrics
        assert f'compression_runner_peak_memory_bytes{{model="{model}"}}' in metrics


def spoilt(bucket: Bucket, tmp_path: Path, name: str) -> None:
    """Put a model that has one fault below `spoilt/` in the bucket."""
    bucket.delete("spoilt")
    place = tiny_models.bert(tmp_path / "spoilt")
    weights = place / "model.safetensors"
    if name == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif name == "pickle":
        weights.rename(place / "pytorch_model.bin")
    elif name == "checksum":
        (place / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n")
    bucket.put_folder(place, "spoilt")


@pytest.mark.parametrize(
    ("fault", "message"),
    [("truncated", "truncated"), ("pickle", "a pickle"), ("checksum", "the source says")],
)
def test_a_damaged_model_is_refused_with_its_reason(bucket: Bucket, tmp_path: Path, fault: str, message: str) -> None:
    spoilt(bucket, tmp_path, fault)
    job = text_manifest(bucket.server.endpoint, model={"source": "s3://models/spoilt", "task": "text-embedding"})
    ended = run_pod(environment(bucket.server, job, tmp_path / "work"))
    assert ended.status == 2, ended.log
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.reason == "InvalidInput"
    assert ended.summary.error.field == "spec.model.source"
    assert message in ended.summary.error.message
    assert bucket.keys("out") == []


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"model": {"source": "s3://models/nothing", "task": "text-embedding"}}, "spec.model.source", "nothing below"),
        ({"model": {"source": "s3://nobucket/bert", "task": "text-embedding"}}, "spec.model.source", "NoSuchBucket"),
        ({"data": {"evaluation": {"source": "s3://models/no.parquet"}}}, "spec.data.evaluation.source", "nothing"),
        ({"model": {"source": "s3://models/bert", "task": "text-classification"}}, "spec.model.task", "BertModel"),
    ],
)
def test_missing_sources_are_named(
    bucket: Bucket, tmp_path: Path, changes: dict[str, Any], field: str, message: str
) -> None:
    ended = run_pod(environment(bucket.server, text_manifest(bucket.server.endpoint, **changes), tmp_path / "work"))
    assert ended.status == 2, ended.log
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.field == field
    assert message in ended.summary.error.message


@pytest.mark.parametrize(
    ("role", "field"),
    [
        ("MODEL", "spec.model.source"),
        ("DATA", "spec.data.evaluation.source"),
        ("OUTPUT", "spec.output.destination"),
    ],
)
@pytest.mark.parametrize(("name", "value"), [("ACCESS_KEY_ID", "unknown"), ("SECRET_ACCESS_KEY", "wrong")])
def test_wrong_credentials_name_their_field(
    bucket: Bucket, tmp_path: Path, role: str, field: str, name: str, value: str
) -> None:
    variables = environment(
        bucket.server, manifest(bucket.server.endpoint), tmp_path / "work", **{f"{role}_AWS_{name}": value}
    )
    ended = run_pod(variables)
    assert ended.status == 2, ended.log
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.field == field
    assert "Secret" in ended.summary.error.remedy


def test_an_invalid_job_is_reported_before_any_request(bucket: Bucket, tmp_path: Path) -> None:
    job = manifest("http://127.0.0.1:1", pipeline=[{"pack": {}}, {"quantize": {}}])
    ended = run_pod(environment(bucket.server, job, tmp_path / "work"))
    assert ended.status == 2
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.reason == "InvalidSpec"
    assert ended.summary.error.field == "spec.pipeline[1].quantize"


def test_missing_exclusive_cpus_are_reported_before_any_download(bucket: Bucket, tmp_path: Path) -> None:
    cpus = len(os.sched_getaffinity(0))
    more = {"COMPRESSION_ISOLATION": "StaticCPUs", "COMPRESSION_CPUS": str(cpus + 1)}
    ended = run_pod(environment(bucket.server, manifest(bucket.server.endpoint), tmp_path / "work", **more))
    assert ended.status == 2, ended.log
    assert ended.summary is not None
    assert ended.summary.error is not None
    sentence = ended.summary.error.sentence()
    assert sentence.startswith("spec.runtime (StaticCPUs): the node's kubelet gave a cpuset of")
    assert f"and {cpus + 1} must be exclusive; set cpuManagerPolicy: static on the node" in sentence
    assert not (tmp_path / "work" / "scratch" / "source").exists()
