"""The rights of the operator and of users from the chart."""

import json
import subprocess
from pathlib import Path

import pytest

from localcluster import tools
from localcluster.apiserver import APIServer
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.integration.chart.helm_release import Helm
from tests.support.manifests import job

ACCOUNT = "compression-operator"
# Rights of the operator in a namespace that it serves: verb, resource.
WORK = [
    *(f"{verb} compressionjobs.compression-operator.io" for verb in ("get", "list", "watch", "delete")),
    "patch compressionjobs.compression-operator.io/status",
    *(f"{verb} compressionreviews.compression-operator.io" for verb in ("get", "list", "watch")),
    *(f"{verb} compressionstores.compression-operator.io" for verb in ("get", "list", "watch")),
    *(f"{verb} jobs.batch" for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *(f"{verb} pods" for verb in ("get", "list", "watch")),
    *(f"{verb} events.events.k8s.io" for verb in ("create", "patch")),
]
READ_NAMESPACES = [f"{verb} namespaces" for verb in ("get", "list", "watch")]
"""Rights of an operator for all namespaces, which reads their labels for allowedNamespaces."""
JOBS = "compressionjobs.compression-operator.io"
# Rights that it must not have.
FORBIDDEN = [
    *(f"{verb} secrets" for verb in ("get", "list", "watch", "create")),
    *(f"{verb} pods" for verb in ("create", "delete", "patch")),
    *(f"{verb} pods/exec" for verb in ("get", "create")),
    "get pods/log",
    "create compressionjobs.compression-operator.io",
    "patch compressionjobs.compression-operator.io",
    "patch compressionruntimes.compression-operator.io",
    "create compressionreviews.compression-operator.io",
    *(f"{verb} compressionstores.compression-operator.io" for verb in ("create", "update", "patch", "use")),
    "list clusterqueues.kueue.x-k8s.io",
    "get customresourcedefinitions.apiextensions.k8s.io",
    *(f"{verb} namespaces" for verb in ("create", "update", "patch", "delete")),
    "list nodes",
    "get configmaps",
    "create serviceaccounts/token",
    "create rolebindings.rbac.authorization.k8s.io",
    "impersonate users",
]


def may(kubeconfig: Path, action: str, namespace: str, name: str = "") -> bool:
    """Return the result of kubectl auth can-i, which is in its exit status."""
    verb, resource = action.split()
    resource, _, subresource = resource.partition("/")
    target = f"{resource}/{name}" if name else resource
    done = subprocess.run(
        [
            str(tools.kubectl()), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}",
            "auth", "can-i", verb, target, *([f"--subresource={subresource}"] if subresource else []),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    answer = str(done.stdout).strip()
    assert answer in ("yes", "no"), done.stderr
    return answer == "yes"


def granted(kubeconfig: Path, actions: list[str], namespace: str) -> set[str]:
    return {action for action in actions if may(kubeconfig, action, namespace)}


@pytest.fixture
def namespaces(server: APIServer) -> None:
    for name in ("team-a", "team-b"):
        server.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


@pytest.mark.usefixtures("namespaces")
def test_cluster_wide_the_operator_has_rights_in_all_namespaces_but_not_on_secrets(
    server: APIServer, helm: Helm
) -> None:
    helm.install(ACCOUNT)
    account = server.service_account(helm.namespace, ACCOUNT)
    assert granted(account, WORK, "team-a") == set(WORK)
    assert may(account, "watch compressionruntimes.compression-operator.io", "team-a")
    assert granted(account, READ_NAMESPACES, "team-a") == set(READ_NAMESPACES)
    assert granted(account, FORBIDDEN, "team-a") == set()
    assert granted(account, FORBIDDEN, helm.namespace) == set()


@pytest.fixture
def workloads(server: APIServer) -> str:
    """Create the CRD of Kueue's kind without Kueue, since `can-i` needs served kinds, for one test."""
    names = {"plural": "workloads", "singular": "workload", "kind": "Workload"}
    version = {"name": "v1beta2", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    name = "workloads.kueue.x-k8s.io"
    server.kubectl.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": name,
                "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/kueue"},
            },
            "spec": {"group": "kueue.x-k8s.io", "names": names, "scope": "Namespaced", "versions": [version]},
        }
    )
    server.kubectl.wait_for_crds()
    return name


@pytest.mark.usefixtures("namespaces")
def test_kueues_workloads_may_be_read_and_patched_where_the_operator_works(
    server: APIServer, helm: Helm, workloads: str
) -> None:
    helm.install(ACCOUNT, "--set=watchNamespaces={team-a}")
    account = server.service_account(helm.namespace, ACCOUNT)
    actions = [f"{verb} {workloads}" for verb in ("get", "list", "watch", "create", "update", "patch", "delete")]
    assert granted(account, actions, "team-a") == {f"{verb} {workloads}" for verb in ("get", "list", "patch")}
    assert granted(account, actions, "team-b") == set()
    assert not may(account, f"patch {workloads}/status", "team-a")


@pytest.mark.usefixtures("namespaces")
def test_with_watch_namespaces_the_operator_has_rights_only_there(server: APIServer, helm: Helm) -> None:
    helm.install(ACCOUNT, "--set=watchNamespaces={team-a}")
    account = server.service_account(helm.namespace, ACCOUNT)
    assert granted(account, WORK, "team-a") == set(WORK)
    assert granted(account, WORK, "team-b") == set()
    assert granted(account, READ_NAMESPACES, "team-a") == set()
    assert may(account, "watch compressionruntimes.compression-operator.io", "team-a")
    assert granted(account, FORBIDDEN, "team-a") == set()


@pytest.mark.usefixtures("namespaces")
def test_the_operator_can_use_only_its_own_lease(server: APIServer, helm: Helm) -> None:
    helm.install(ACCOUNT)
    account = Kubectl(server.service_account(helm.namespace, ACCOUNT))
    # An operator of another test may have left its Lease.
    server.kubectl.run("delete", "lease", ACCOUNT, "--ignore-not-found", f"--namespace={helm.namespace}")
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": ACCOUNT}}
    account.run("create", "--filename=-", f"--namespace={helm.namespace}", stdin=json.dumps(lease))
    account.run("get", "lease", ACCOUNT, f"--namespace={helm.namespace}")
    for verb in ("get", "update", "delete"):
        action = f"{verb} leases.coordination.k8s.io"
        assert not may(account.kubeconfig, action, helm.namespace, name="another")
        assert not may(account.kubeconfig, action, "team-a", name=ACCOUNT)
    server.kubectl.run("delete", "lease", ACCOUNT, f"--namespace={helm.namespace}")


@pytest.mark.usefixtures("namespaces")
def test_editors_can_change_jobs_and_viewers_can_read_them(server: APIServer, helm: Helm) -> None:
    helm.install(ACCOUNT)
    for role in ("edit", "view"):
        server.kubectl.run(
            "create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}or", "--namespace=team-a"
        )
    editor, viewer = server.user("editor"), server.user("viewor")
    cpj = "compressionjobs.compression-operator.io"
    everything = [f"{verb} {cpj}" for verb in ("get", "list", "watch", "create", "update", "patch", "delete")]
    assert granted(editor, everything, "team-a") == set(everything)
    assert granted(viewer, everything, "team-a") == {f"get {cpj}", f"list {cpj}", f"watch {cpj}"}
    assert granted(editor, everything, "team-b") == set()
    assert not may(editor, "patch compressionjobs.compression-operator.io/status", "team-a")
    assert not may(editor, "create compressionruntimes.compression-operator.io", "team-a")
    manifest = job()
    manifest["metadata"]["namespace"] = "team-a"
    Kubectl(editor).run("create", "--filename=-", stdin=json.dumps(manifest))
    Kubectl(viewer).run("get", "cpj", "minilm-int8", "--namespace=team-a")
    server.kubectl.run("delete", "rolebinding", "edit", "view", "--namespace=team-a")


@pytest.mark.usefixtures("namespaces")
def test_the_right_to_review_is_separate_from_the_right_to_create_jobs(server: APIServer, helm: Helm) -> None:
    helm.install(ACCOUNT)
    bind = ("create", "rolebinding", "--namespace=team-a")
    server.kubectl.run(*bind, "writes", "--clusterrole=edit", "--user=ada")
    server.kubectl.run(*bind, "reviews", f"--clusterrole={helm.namespace}:{ACCOUNT}:review", "--user=rita")
    ada, rita = server.user("ada"), server.user("rita")
    review = "compressionreviews.compression-operator.io"
    assert granted(ada, [f"create {review}", f"get {review}"], "team-a") == {f"get {review}"}
    assert granted(rita, [f"create {review}", f"update {review}", f"patch {review}"], "team-a") == {f"create {review}"}
    assert granted(rita, [f"create {JOBS}", f"get {JOBS}"], "team-a") == {f"get {JOBS}"}
    with pytest.raises(LocalClusterError, match=r"in the name of the user who creates it; write rita"):
        decide(rita, reviewer="ada")
    decide(rita, reviewer="rita")
    server.kubectl.run("delete", "rolebinding", "writes", "reviews", "--namespace=team-a")


def decide(kubeconfig: Path, reviewer: str) -> None:
    binding = {"jobUID": "1b8e2f04", "digest": f"sha256:{'a' * 64}"}
    spec = {"job": "minilm-int8", "decision": "Approve", "reason": "looked at it", "reviewer": reviewer, **binding}
    manifest = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionReview",
        "metadata": {"name": f"by-{reviewer}", "namespace": "team-a"},
        "spec": spec,
    }
    Kubectl(kubeconfig).run("create", "--filename=-", stdin=json.dumps(manifest))
