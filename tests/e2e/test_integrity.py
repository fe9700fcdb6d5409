"""The published model is the judged one, even if another user writes to the bucket or the namespace meanwhile."""

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcluster.errors import LocalClusterError
from tests.e2e.harness import Job, Namespace, wait_for
from tests.e2e.jobs import BUCKET, approval, objects, tiny_job

Submit = Callable[[dict[str, Any]], Job]

QUALITY: dict[str, Any] = {"quality": {"metric": "cosine", "maxDrop": "0.9"}}
"""Limits that need no measurement of speed."""
KILLS = int(os.environ.get("KILLED_WRITERS", "1"))
"""Number of times that a writer is killed; twenty in `make test-integrity`."""


def read(store: Any, key: str) -> bytes:
    body: bytes = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def write(store: Any, key: str, content: bytes) -> None:
    store.put_object(Bucket=BUCKET, Key=key, Body=content)


def approve(job: Job) -> None:
    """Approve the job's model as the user who runs the tests."""
    me = job.namespace.kubectl.read("auth", "whoami")["status"]["userInfo"]["username"]
    job.namespace("create", "--filename=-", stdin=approval(job, me))


def whole(store: Any, prefix: str) -> str:
    """Return the digest of the model at a prefix. Fail unless its files are exactly those of artifact.json."""
    listed = json.loads(read(store, f"{prefix}/artifact.json"))
    for file in listed["files"]:
        assert hashlib.sha256(read(store, f"{prefix}/{file['path']}")).hexdigest() == file["sha256"], file["path"]
    assert objects(store, f"{prefix}/") == {f"{prefix}/{file['path']}" for file in listed["files"]} | {
        f"{prefix}/artifact.json"
    }
    digest: str = listed["digest"]
    return digest


def redirect_report(store: Any, job: Job) -> None:
    """Change the report so that it names another checkpoint of the same job, with its digest."""
    key = f"results/{job.name}-report/report.json"
    report = json.loads(read(store, key))
    markers = {item for item in objects(store, f"results/{job.name}-checkpoints/") if item.endswith("/artifact.json")}
    other = next(item for item in sorted(markers) if report["artifact"]["fingerprint"] not in item)
    report["artifact"] |= {"fingerprint": other.split("/")[2], "digest": json.loads(read(store, other))["digest"]}
    report["provenance"]["fingerprint"] = report["artifact"]["fingerprint"]
    write(store, key, json.dumps(report).encode())


def damage_checkpoint(store: Any, job: Job) -> None:
    """Change a file of the judged checkpoint, and its entry in the listing."""
    prefix = f"results/{job.name}-checkpoints/{job.status['checkpoint']}"
    listed = json.loads(read(store, f"{prefix}/artifact.json"))
    file = listed["files"][0]
    content = read(store, f"{prefix}/{file['path']}") + b" "
    file |= {"sizeBytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write(store, f"{prefix}/{file['path']}", content)
    write(store, f"{prefix}/artifact.json", json.dumps(listed).encode())


EDITS: dict[str, Callable[[Any, Job], None]] = {
    "redirected": redirect_report,
    "damaged": damage_checkpoint,
}


def test_no_edit_in_the_bucket_changes_what_is_published(submit: Submit, store: Any) -> None:
    pipeline = [{"prune": {"sparsity": "0.1"}}, {"quantize": {"method": "dynamic", "dtype": "int8"}}]
    names = (*EDITS, "untouched")
    wanted = {"spec__review": "Always", "spec__pipeline": pipeline, "spec__sla": QUALITY}
    jobs = {name: submit(tiny_job(name, **wanted)) for name in names}
    waiting = {name: job.wait_phase("AwaitingReview") for name, job in jobs.items()}
    for name, edit in EDITS.items():
        edit(store, jobs[name])
    for job in jobs.values():
        approve(job)
    for name in EDITS:
        status = jobs[name].wait_phase("Failed")
        assert jobs[name].condition("Failed")["reason"] == "InvalidInput", status["message"]
        assert objects(store, f"results/{name}/") == set()
        assert (status["digest"], status["verdict"]) == (waiting[name]["digest"], waiting[name]["verdict"])
        assert "artifact" not in status
    done = jobs["untouched"].wait_phase("Succeeded")
    assert whole(store, "results/untouched") == done["digest"] == waiting["untouched"]["digest"]
    redirect_report(store, jobs["untouched"])
    damage_checkpoint(store, jobs["untouched"])
    assert jobs["untouched"].status == done
    assert whole(store, "results/untouched") == done["digest"]


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_only_the_operator_creates_its_jobs_and_pods(namespace: Namespace, kind: str) -> None:
    labels = {"compression-operator.io/job-uid": "0a1b2c3d-0000-4000-8000-000000000001"}
    allowed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "runner", "image": "forged:1", "securityContext": allowed}
    safe = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec: dict[str, Any] = {"restartPolicy": "Never", "securityContext": safe, "containers": [container]}
    if kind == "Job":
        spec = {"template": {"spec": spec}}
    forged = {"apiVersion": "batch/v1" if kind == "Job" else "v1", "kind": kind, "spec": spec}
    metadata = {"name": "forged", "labels": labels}
    with pytest.raises(LocalClusterError, match="ValidatingAdmissionPolicy"):
        namespace("create", "--filename=-", stdin=json.dumps(forged | {"metadata": metadata}))


def kill(pod: str) -> bool:
    """Kill the processes of a pod of the local cluster, as a power cut would; return whether there were any."""
    wanted, killed = f"HOSTNAME={pod}".encode(), False
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)
                killed = True
        except OSError:
            continue
    return killed


@pytest.mark.parametrize("number", range(KILLS))
def test_two_jobs_with_one_destination_leave_one_whole_model(number: int, submit: Submit, store: Any) -> None:
    chance = random.Random(number)
    place = f"results/shared-{number}"
    shared = {"spec__output": {"destination": f"s3://{BUCKET}/{place}", "overwrite": True}, "spec__sla": QUALITY}
    pipelines = {
        "first": [{"quantize": {"method": "dynamic", "dtype": "int8"}}],
        "second": [{"prune": {"sparsity": "0.3"}}],
    }
    jobs = [
        submit(tiny_job(f"{name}-{number}", spec__pipeline=pipeline, **shared)) for name, pipeline in pipelines.items()
    ]
    victim = jobs[chance.randrange(2)]
    pod, delay = victim.running_pod(), chance.uniform(0, 8)
    time.sleep(delay)
    killed = kill(pod)
    ended = [job.wait_end() for job in jobs]
    context = f"{victim.name} killed: {killed}, {delay:.1f} s after its start"
    assert [status["phase"] for status in ended] == ["Succeeded", "Succeeded"], context
    last = max(ended, key=lambda status: status["completionTime"])
    assert whole(store, place) == last["digest"], context
    assert ended[0]["digest"] != ended[1]["digest"]
    uploads = store.list_multipart_uploads(Bucket=BUCKET, Prefix=place).get("Uploads") or []
    assert not uploads, context
    wait_for("nothing of a writer is left", lambda: not [k for k in objects(store, place) if "writer" in k], 30)
