"""A queue for one pod at a time, and Jobs that fill it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from localcluster import podimages
from tests.e2e.harness import Job, Namespace, wait_for

GROUP: Final = "kueue.x-k8s.io"
VERSION: Final = f"{GROUP}/v1beta2"
QUEUE_LABEL: Final = f"{GROUP}/queue-name"
PRIORITY_LABEL: Final = f"{GROUP}/priority-class"
JOB_UID_LABEL: Final = f"{GROUP}/job-uid"
QUEUE: Final = "team-a"
URGENT: Final = "e2e-urgent"
_NAME: Final = "compression-e2e"
_PLENTY: Final = {"cpu": "100", "memory": "1Ti", "ephemeral-storage": "10Ti"}


def objects(namespace: str) -> list[dict[str, Any]]:
    """Create a LocalQueue whose ClusterQueue admits one pod at a time, and a priority that preempts."""
    quotas = [{"name": name, "nominalQuota": quota} for name, quota in {"pods": "1", **_PLENTY}.items()]
    group = {
        "coveredResources": [quota["name"] for quota in quotas],
        "flavors": [{"name": _NAME, "resources": quotas}],
    }
    cluster_queue = {
        "namespaceSelector": {},
        "resourceGroups": [group],
        "preemption": {"withinClusterQueue": "LowerPriority"},
    }
    return [
        _object("ResourceFlavor", _NAME),
        _object("ClusterQueue", _NAME, spec=cluster_queue),
        _object("LocalQueue", QUEUE, namespace, spec={"clusterQueue": _NAME}),
        _object("WorkloadPriorityClass", URGENT, value=1000),
    ]


def _object(kind: str, name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, **fields}


def queued(manifest: dict[str, Any], queue: str = QUEUE) -> dict[str, Any]:
    """Return a CompressionJob with the label of a queue, and without limits that may be undecided on a busy machine."""
    manifest["metadata"].setdefault("labels", {})[QUEUE_LABEL] = queue
    manifest["spec"]["sla"] = {"quality": manifest["spec"]["sla"]["quality"]}
    return manifest


@dataclass(frozen=True)
class Holder:
    """A Job whose pod sleeps. While it runs, the queue is full."""

    namespace: Namespace
    name: str

    def is_running(self) -> bool:
        """Return whether its pod runs."""
        pods = self.namespace.items("pods", "-l", f"batch.kubernetes.io/job-name={self.name}")
        return any(pod["status"]["phase"] == "Running" for pod in pods)

    def wait_running(self, seconds: float = 60) -> None:
        """Wait until the queue has admitted the Job and its pod runs."""
        wait_for(f"the pod of {self.name} runs", lambda: self.is_running() or None, seconds)

    def delete(self) -> None:
        """Delete the Job, to free its quota."""
        self.namespace("delete", "jobs.batch", self.name, "--ignore-not-found", "--cascade=foreground", "--wait")


def holder(name: str, *, urgent: bool = False) -> dict[str, Any]:
    """Return the manifest of a Job that sleeps. An urgent one preempts CompressionJobs."""
    container = {
        "name": "sleep",
        "image": podimages.BASE,
        "imagePullPolicy": "Never",
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {QUEUE_LABEL: QUEUE} | ({PRIORITY_LABEL: URGENT} if urgent else {})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def workload(job: Job) -> dict[str, Any]:
    """Return Kueue's Workload of the CompressionJob's child Job."""
    (child,) = job.children()
    selector = f"{JOB_UID_LABEL}={child['metadata']['uid']}"

    def look() -> dict[str, Any] | None:
        workloads = job.namespace.items(f"workloads.{GROUP}", "-l", selector)
        return workloads[0] if workloads else None

    return wait_for(f"the Workload of {job.name}", look, 60)


def is_active(job: Job) -> bool:
    """Return whether its Workload is in the queue."""
    return bool(workload(job)["spec"].get("active", True))


def set_suspend(job: Job, suspend: bool) -> None:
    """Set spec.suspend."""
    value = "true" if suspend else "false"
    job.namespace("patch", "cpj", job.name, "--type=merge", f'--patch={{"spec":{{"suspend":{value}}}}}')


def holds_for(what: str, seconds: float, look: Callable[[], bool]) -> None:
    """Check for some seconds that a condition stays true. Fail with ``what`` otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert look(), what
        time.sleep(0.5)
