"""The jobs of the pages. They really run, except one whose result is written into its status."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from localcluster.paths import REPOSITORY
from tests.docs.reader import TEAM, ReaderEnvironment
from tests.e2e.harness import Job, Namespace, wait_for
from tests.support.manifests import set_field

ENDED: Final = ("Succeeded", "Failed")
QUALITY_AND_SIZE: Final = {"quality": {"metric": "cosine", "maxDrop": "0.01"}, "size": {"maxRatio": "0.26"}}
EXAMPLE: Final = REPOSITORY / "examples" / "minilm-int8.yaml"
CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "minilm-int8": {"spec.deadline": None},
    "minilm-per-tensor": {"spec.pipeline": [{"quantize": {"granularity": "tensor"}}], "spec.sla": QUALITY_AND_SIZE},
    "minilm-reviewed": {"spec.review": "Always", "spec.sla": QUALITY_AND_SIZE},
    "minilm-int8-reviewed": {"spec.review": "Always", "spec.sla": QUALITY_AND_SIZE},
    "minilm-oom": {"spec.runtime": "cpu-small"},
    "minilm-gpu": {"spec.runtime": "gpu"},
    "minilm-close": {"spec.runtime": "gpu"},
}
PHASES: Final = {
    "minilm-int8": ("Succeeded",),
    "minilm-per-tensor": ("Failed",),
    "minilm-reviewed": ("AwaitingReview",),
    "minilm-int8-reviewed": ("AwaitingReview",),
    "minilm-oom": ("Failed",),
    "minilm-gpu": ("Pending",),
    "minilm-close": ("Pending", "Failed"),
}


def manifest(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job of the pages: the README's example with changes."""
    content: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    content["metadata"]["name"] = name
    content["spec"]["output"]["destination"] = f"s3://models/{name}"
    for path, value in {**CHANGES.get(name, {}), **changes}.items():
        if value is None:
            parent, _, field = path.rpartition(".")
            assert parent == "spec"
            content["spec"].pop(field)
        else:
            set_field(content, path, value)
    return content


def apply_runtimes(reader: ReaderEnvironment) -> None:
    """Apply runtimes with too little memory for MiniLM's export, and with more than any node has."""
    shared = reader.kubectl.read("get", "cprt", "cpu-shared")["spec"]
    for name, memory in (("cpu-small", "950Mi"), ("cpu-large", "512Gi")):
        spec = shared | {"resources": {"requests": {"memory": memory}, "limits": {"memory": memory}}}
        kind = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionRuntime"}
        reader.kubectl.apply(kind | {"metadata": {"name": name}, "spec": spec})


def ensure(reader: ReaderEnvironment, names: Iterable[str]) -> None:
    """Bring these jobs into their phases. Jobs in another phase are created again."""
    apply_runtimes(reader)
    namespace = Namespace(reader.kubectl, TEAM)
    jobs = {item["metadata"]["name"]: item for item in namespace.items("cpj")}
    for name in names:
        phase = jobs.get(name, {}).get("status", {}).get("phase")
        if phase not in PHASES[name]:
            namespace("delete", "cpj", name, "--ignore-not-found", "--wait")
            namespace.apply(manifest(name))
    for name in names:
        Job(namespace, name).wait_phase(*PHASES[name], seconds=900)
    if "minilm-close" in names:
        _end_inconclusive(Job(namespace, "minilm-close"))


def _end_inconclusive(job: Job) -> None:
    """Write the status of an Inconclusive job, since a real measurement cannot be forced to be inconclusive."""
    job.wait_condition("Accepted", "False")
    open_limit = {
        "name": "latency.speedup", "unit": "ratio", "direction": "at least", "limit": 1.2, "measured": 1.21,
        "low": 1.17, "high": 1.25, "verdict": "Inconclusive", "moreSeconds": 820.0,
    }  # fmt: skip
    now = job.resource["metadata"]["creationTimestamp"]
    failed = {
        "type": "Failed", "status": "True", "reason": "SLAInconclusive", "message": "latency.speedup is 1.21",
        "lastTransitionTime": now,
    }  # fmt: skip
    status = {
        "phase": "Failed", "reason": "SLAInconclusive", "verdict": "Inconclusive", "objectives": [open_limit],
        "completionTime": now,
        "conditions": [failed],
    }  # fmt: skip
    patch = json.dumps({"status": status})
    job.namespace("patch", "cpj", job.name, "--subresource=status", "--type=merge", f"--patch={patch}")


def wait_for_reason(reader: ReaderEnvironment, name: str, reason: str) -> None:
    """Wait until a condition of a job has a reason."""
    job = Job(Namespace(reader.kubectl, TEAM), name)
    wait_for(
        f"{name} is {reason}", lambda: reason in [item["reason"] for item in job.status.get("conditions", [])] or None
    )
