"""Jobs of the end-to-end tests, and their files in the object store."""

import json
from typing import Any, Final

from tests.e2e.harness import Job, wait_for
from tests.support.manifests import set_field

BUCKET: Final = "e2e"


def tiny_job(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job with a tiny graph, which passes in seconds. ``changes`` are field paths with ``__`` for dots."""
    manifest: dict[str, Any] = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": f"s3://{BUCKET}/perceptron/model.onnx", "task": "onnx"},
            "storage": {"secretName": "s3", "endpoint": "http://10.244.0.1:7070"},
            "data": {"evaluation": {"source": f"s3://{BUCKET}/arrays.npz", "limit": 64}},
            "pipeline": [{"quantize": {"method": "dynamic", "dtype": "int8"}}],
            "benchmark": {"timeLimit": "6s"},
            "sla": {"quality": {"metric": "cosine", "maxDrop": "0.2"}, "latency": {"percentile": "p50", "max": "2s"}},
            "output": {"destination": f"s3://{BUCKET}/results/{name}"},
            "runtime": "cpu-shared",
            "deadline": "20m",
        },
    }
    for path, value in changes.items():
        set_field(manifest, path.replace("__", "."), value)
    return manifest


def text_job(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job with a tiny Transformers model, which takes longer, since it is exported to a graph."""
    settings: dict[str, Any] = {
        "spec__model": {"source": f"s3://{BUCKET}/tiny", "task": "text-embedding"},
        "spec__data": {"evaluation": {"source": f"s3://{BUCKET}/sentences.parquet", "limit": 64}},
        "spec__benchmark": {"sequenceLength": 16, "timeLimit": "6s"},
    }
    return tiny_job(name, **(settings | changes))


def staged_job(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job with a tiny Transformers model and three stages, which ends seconds after the first of them."""
    return text_job(
        name, **({"spec__pipeline": [{"prune": {"sparsity": "0.1"}}, {"quantize": {}}, {"pack": {}}]} | changes)
    )


def minilm_job(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job with MiniLM and three stages, which is long enough to be interrupted while it is measured."""
    settings: dict[str, Any] = {
        "spec__model__source": "s3://models/minilm",
        "spec__data__evaluation": {"source": "s3://data/sentences.parquet", "limit": 300},
        "spec__benchmark": {"sequenceLength": 64, "timeLimit": "8s"},
    }
    return staged_job(name, **(settings | changes))


def approval(job: Job, reviewer: str) -> str:
    """Return a CompressionReview as JSON that approves the job's model."""
    manifest = job.resource
    spec = {
        "job": job.name,
        "jobUID": manifest["metadata"]["uid"],
        "digest": manifest["status"]["digest"],
        "decision": "Approve",
        "reason": "agrees with our own figures",
        "reviewer": reviewer,
    }
    api = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionReview"}
    return json.dumps(api | {"metadata": {"generateName": f"{job.name}-"}, "spec": spec})


def objects(store: Any, prefix: str) -> set[str]:
    """Return the keys below a prefix of the test bucket."""
    return {item["Key"] for item in store.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])}


def empty(store: Any, prefix: str) -> None:
    """Delete all objects of earlier runs."""
    while listed := store.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        for item in listed:
            store.delete_object(Bucket=BUCKET, Key=item["Key"])


def checkpoints(store: Any, name: str) -> set[str]:
    """Return the keys of the checkpoints of a job's stages."""
    return {key for key in objects(store, f"results/{name}-checkpoints/") if key.endswith("artifact.json")}


def at_checkpoint(store: Any, job: Job, count: int) -> None:
    """Wait until ``count`` stages have a checkpoint."""

    def look() -> bool:
        assert job.status.get("phase") not in ("Succeeded", "Failed"), f"too late to disturb it:\n{job.diagnosis()}"
        return len(checkpoints(store, job.name)) >= count

    wait_for(f"{count} checkpoints of {job.name}", look, 180, pause=0.3)


def stages(store: Any, name: str) -> dict[str, bool]:
    """Return for each stage in the report whether its checkpoint was reused."""
    body = store.get_object(Bucket=BUCKET, Key=f"results/{name}-report/report.json")["Body"].read()
    return {stage["name"]: stage["reused"] for stage in json.loads(body)["stages"]}
