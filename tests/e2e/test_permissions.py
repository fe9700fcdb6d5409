"""What the operator may not do, asked of the API server itself."""

import pytest

from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.e2e.harness import Namespace

ACCOUNT = "system:serviceaccount:compression-system:compression-operator"


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("get", "secrets"), ("list", "secrets"), ("create", "pods"), ("create", "pods/exec"), ("delete", "nodes")],
)
def test_the_operator_may_not(kubectl: Kubectl, verb: str, resource: str) -> None:
    with pytest.raises(LocalClusterError, match="no"):
        kubectl.run("auth", "can-i", verb, resource, f"--as={ACCOUNT}", "--all-namespaces")


@pytest.mark.parametrize(
    ("verb", "resource"), [("create", "jobs.batch"), ("list", "pods"), ("watch", "compressionjobs")]
)
def test_the_operator_may(kubectl: Kubectl, verb: str, resource: str) -> None:
    assert kubectl.run("auth", "can-i", verb, resource, f"--as={ACCOUNT}", "--all-namespaces").strip() == "yes"


def test_the_operator_cannot_read_a_secret(namespace: Namespace) -> None:
    with pytest.raises(LocalClusterError, match="cannot get resource"):
        namespace("get", "secret", "s3", f"--as={ACCOUNT}")
