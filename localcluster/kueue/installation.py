"""Installation and removal of Kueue in the running cluster."""

import hashlib
import json
from pathlib import Path
from typing import Final

from localcluster import cluster, components, containers, paths
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from localcluster.kueue import build, manifests
from localcluster.locks import exclusive
from localcluster.progress import step
from localcluster.steps import Steps
from localcluster.waiting import until

CRD: Final = "workloads.kueue.x-k8s.io"
_APPLIED: Final = "compression-operator.io/applied"
"""Annotation of Kueue's namespace: the digest of the completely applied manifests."""
_READY_SECONDS: Final = 120.0
_REMEDY: Final = f"See `kubectl --namespace {manifests.NAMESPACE} logs deployment/{manifests.DEPLOYMENT}`."
_PROBE: Final = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "probe"}}
_WITH_FINALIZERS: Final = ("workloads", "localqueues", "clusterqueues", "resourceflavors")


def ensure() -> None:
    """Install Kueue in the local cluster, and start the cluster if necessary; quick if Kueue runs already."""
    build.make()
    if not components.running():
        cluster.up()
    kubectl = Kubectl(components.admin_kubeconfig())
    with exclusive(_lock()):
        objects = manifests.adapt(build.upstream_manifests(), build.image())
        digest = hashlib.sha256(json.dumps(objects).encode()).hexdigest()[:16]
        if not (_is_applied(kubectl, digest) and _answers(kubectl)):
            _install(kubectl, objects)
            kubectl.run("annotate", "namespace", manifests.NAMESPACE, "--overwrite", f"{_APPLIED}={digest}")


def remove() -> None:
    """Remove Kueue from the local cluster, with all queues. Jobs that wait in a queue stay suspended.

    Webhooks are removed first, since without Kueue they refuse every Job. Finalizers are next, since only Kueue would
    remove them.
    """
    kubectl = Kubectl(components.admin_kubeconfig())
    with exclusive(_lock()), step("Kueue removed"):
        _remove(kubectl)


def _install(kubectl: Kubectl, objects: list[manifests.Object]) -> None:
    with Steps() as steps:
        image = steps.add("Kueue's image loaded", _load_image)
        applied = steps.add("Kueue's objects", lambda: kubectl.apply(*objects))
        steps.add("Kueue answers", lambda: _wait(kubectl), after=(image, applied))


def _load_image() -> None:
    if build.image() not in containers.images():
        containers.load([build.archive()])


def _wait(kubectl: Kubectl) -> None:
    deployment, limit = f"deployment/{manifests.DEPLOYMENT}", f"--timeout={_READY_SECONDS:.0f}s"
    kubectl.run("rollout", "status", deployment, f"--namespace={manifests.NAMESPACE}", limit)
    # The Deployment is ready before the API server has the certificate of its webhooks.
    until("Kueue answers", lambda: _answers(kubectl), _READY_SECONDS, remedy=_REMEDY)


def _answers(kubectl: Kubectl) -> bool:
    try:
        kubectl.run("apply", "--dry-run=server", "--filename=-", stdin=json.dumps(_PROBE), timeout=20)
    except LocalClusterError:
        return False
    return True


def _is_applied(kubectl: Kubectl, digest: str) -> bool:
    namespace = kubectl.run("get", "namespace", manifests.NAMESPACE, "--ignore-not-found", "--output=json")
    return bool(namespace) and json.loads(namespace)["metadata"].get("annotations", {}).get(_APPLIED) == digest


def _remove(kubectl: Kubectl) -> None:
    objects = build.upstream_manifests()
    webhooks = [item for item in objects if item["kind"] in manifests.WEBHOOKS]
    _delete(kubectl, webhooks)
    _delete(kubectl, [item for item in objects if item["kind"] == "Deployment"])
    served = kubectl.run("api-resources", "--api-group=kueue.x-k8s.io", "--output=name").split()
    for kind in (f"{name}.kueue.x-k8s.io" for name in _WITH_FINALIZERS):
        for item in kubectl.read("get", kind, "--all-namespaces")["items"] if kind in served else ():
            _drop_finalizers(kubectl, kind, item["metadata"])
    _delete(kubectl, objects)


def _drop_finalizers(kubectl: Kubectl, kind: str, metadata: dict[str, str]) -> None:
    where = [f"--namespace={metadata['namespace']}"] if "namespace" in metadata else []
    patch = json.dumps({"metadata": {"finalizers": None}})
    kubectl.run("patch", kind, metadata["name"], *where, "--type=merge", f"--patch={patch}")


def _delete(kubectl: Kubectl, objects: list[manifests.Object]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl.run("delete", "--ignore-not-found", "--wait", "--filename=-", stdin=text)


def _lock() -> Path:
    return paths.cache() / "locks" / "kueue"
