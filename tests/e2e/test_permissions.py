"""The rights of the operator and its pods, as the API server reports them."""

from collections.abc import Callable
from typing import Any

import pytest

from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import tiny_job

ACCOUNT = "system:serviceaccount:compression-system:compression-operator"


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("get", "secrets"), ("list", "secrets"), ("create", "pods"), ("create", "pods/exec"), ("delete", "nodes")],
)
def test_the_operator_has_no_right(kubectl: Kubectl, verb: str, resource: str) -> None:
    with pytest.raises(LocalClusterError, match="no"):
        kubectl.run("auth", "can-i", verb, resource, f"--as={ACCOUNT}", "--all-namespaces")


@pytest.mark.parametrize(
    ("verb", "resource"), [("create", "jobs.batch"), ("list", "pods"), ("watch", "compressionjobs")]
)
def test_the_operator_has_the_right(kubectl: Kubectl, verb: str, resource: str) -> None:
    assert kubectl.run("auth", "can-i", verb, resource, f"--as={ACCOUNT}", "--all-namespaces").strip() == "yes"


def test_the_operator_cannot_read_a_secret(namespace: Namespace) -> None:
    with pytest.raises(LocalClusterError, match="cannot get resource"):
        namespace("get", "secret", "s3", f"--as={ACCOUNT}")


def test_pods_are_restricted(submit: Callable[[dict[str, Any]], Job]) -> None:
    job = submit(tiny_job("restricted"))
    job.running_pod()
    (pod,) = job.pods()
    assert pod["spec"]["automountServiceAccountToken"] is False
    mounts = [m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"]]
    assert not [path for path in mounts if path.startswith("/var/run/secrets/kubernetes.io")]
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not [volume for volume in pod["spec"]["volumes"] if "hostPath" in volume]
