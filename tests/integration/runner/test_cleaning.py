"""A pod of the part Clean against a real S3 server: it removes its job's files, except those that other jobs need."""

import json
import os
from pathlib import Path
from typing import Any

from compression_runner.artifact import seal
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.run_locations import OutputLocations, outputs_of
from compression_runner.storage import Stores
from compressionjob.retention import SpaceUsed
from compressionjob.spec import parse_job
from tests.integration.runner.conftest import Bucket, Ended, environment, manifest, run_new_pod, run_pod

FIRST, SECOND = "a" * 64, "b" * 64


def job_of(bucket: Bucket, uid: str, destination: str) -> dict[str, Any]:
    output = {"destination": f"s3://models/{destination}", "checkpoints": "s3://models/shared"}
    job = manifest(bucket.server.endpoint, output=output)
    job["metadata"]["uid"] = uid
    return job


def locations_of(bucket: Bucket, job: dict[str, Any], workdir: Path) -> OutputLocations:
    """Return the output locations of a job, opened as its pod does."""
    variables = environment(bucket.server, job, workdir)
    return outputs_of(parse_job(job).spec, Stores(environment=variables, job=job["metadata"]["uid"]))


def run(bucket: Bucket, job: dict[str, Any], folder: Path, *fingerprints: str) -> None:
    """Write the files of a run: these checkpoints, its reports, and the published model."""
    outputs = locations_of(bucket, job, folder)
    outputs.users.use(fingerprints)
    checkpoints = Checkpoints(folder, outputs.checkpoint, outputs.users)
    for fingerprint in fingerprints:
        if checkpoints.get(fingerprint) is None:
            place = checkpoints.begin(fingerprint)
            (place / "model.onnx").write_bytes(b"weights")
            checkpoints.commit(fingerprint, seal(place, "onnx", "onnx"))
    outputs.reports.write("report.html", b"<p>")
    outputs.reports.write("report.json", json.dumps({"job": {"uid": job["metadata"]["uid"]}}).encode())
    published = seal(folder / fingerprints[-1], "onnx", "onnx").with_provenance(
        {"job": {"uid": job["metadata"]["uid"]}}
    )
    outputs.destination.publish(published.uploads(), "artifact.json")


def cleaning(bucket: Bucket, job: dict[str, Any], workdir: Path, *kinds: str) -> Ended:
    """Run a pod that removes these kinds of files, without credentials for the sources, which may be gone."""
    part = {"COMPRESSION_PART": "Clean", "COMPRESSION_CLEAN": json.dumps(kinds)}
    variables = environment(bucket.server, job, workdir, **part)
    return run_pod({name: value for name, value in variables.items() if not name.startswith(("MODEL_", "DATA_"))})


def test_unused_checkpoints_are_removed_and_the_published_model_stays(bucket: Bucket, tmp_path: Path) -> None:
    first, other = job_of(bucket, "u-1", "first"), job_of(bucket, "u-2", "other")
    run(bucket, first, tmp_path / "first", FIRST, SECOND)
    run(bucket, other, tmp_path / "other", SECOND)

    ended = cleaning(bucket, first, tmp_path / "clean", "checkpoints", "reports")
    assert ended.status == 0, ended.log
    assert ended.summary is not None
    assert ended.summary.part == "Clean"
    # The other job uses one of them, which stays.
    assert ended.summary.space == SpaceUsed(checkpoint_bytes=7, result_bytes=7)
    assert bucket.keys("first-report") == []
    assert bucket.keys("first") == ["artifact.json", "model.onnx"]
    assert bucket.keys("other-report") == ["report.html", "report.json"]
    assert [key for key in bucket.keys("shared") if "users" not in key] == [
        f"{SECOND}/artifact.json", f"{SECOND}/model.onnx",
    ]  # fmt: skip

    last = cleaning(bucket, other, tmp_path / "last", "checkpoints")
    assert last.status == 0, last.log
    assert bucket.keys("shared") == []


def test_an_unknown_kind_removes_nothing(bucket: Bucket, tmp_path: Path) -> None:
    ended = cleaning(bucket, job_of(bucket, "u-3", "third"), tmp_path / "clean", "checkpoints", "versions")
    assert ended.status == 2
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.field == "COMPRESSION_CLEAN"


def test_cleaning_loads_no_model_library(bucket: Bucket, tmp_path: Path) -> None:
    job, listing = job_of(bucket, "u-4", "fourth"), tmp_path / "modules"
    hook = tmp_path / "site"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import atexit, os, pathlib, sys\n"
        "atexit.register(lambda: pathlib.Path(os.environ['LISTING']).write_text(' '.join(sys.modules)))\n"
    )
    variables = environment(bucket.server, job, tmp_path / "clean", COMPRESSION_PART="Clean", LISTING=str(listing))
    paths = os.pathsep.join(filter(None, [str(hook), os.environ.get("PYTHONPATH", "")]))
    ended = run_new_pod(variables | {"COMPRESSION_CLEAN": '["reports"]', "PYTHONPATH": paths})
    assert ended.status == 0, ended.log
    loaded = set(listing.read_text().split())
    assert not loaded & {"torch", "transformers", "onnxruntime", "openvino"}, "512Mi are not enough for these"
