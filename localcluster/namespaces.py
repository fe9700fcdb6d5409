"""Namespaces for compression pods: restricted, with the Python environment and the object store's keys."""

from typing import Any, Final

from localcluster import components, s3, site
from localcluster.folder_claims import folder_claim
from localcluster.kubectl import Kubectl

CLAIM: Final = "compression-site"
SECRET: Final = "s3"


def prepare(name: str) -> None:
    """Create a namespace that enforces the `restricted` Pod Security Standard, with its claim and Secret."""
    kubectl = Kubectl(components.admin_kubeconfig())
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    _release(kubectl, name)
    kubectl.apply(*folder_claim(CLAIM, name, site.current()), _secret(name))
    # A pod created before its claim is bound is retried only after five seconds.
    kubectl.run("wait", "--namespace", name, "--for=jsonpath={.status.phase}=Bound", f"pvc/{CLAIM}", "--timeout=60s")


def _release(kubectl: Kubectl, namespace: str) -> None:
    """Delete a volume that has the uid of an old claim, whose namespace was deleted: it cannot be bound again."""
    name = f"{CLAIM}-{namespace}"
    if kubectl.run("get", "pv", name, "--ignore-not-found", "--output=jsonpath={.status.phase}") in (
        "Released",
        "Failed",
    ):
        kubectl.run("delete", "pv", name, "--wait")


def _secret(namespace: str) -> dict[str, Any]:
    keys = {"AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY}
    metadata = {"name": SECRET, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
